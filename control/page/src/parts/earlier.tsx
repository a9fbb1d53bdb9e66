// The rollouts before this one.

import type { Past } from "../use";
import { moment, percent } from "../words";
import { StateBadge } from "./state";

export function Earlier({ past, now }: { past: Past | "none" | null; now: Date }) {
  if (past === null || past === "none" || past.earlier.length === 0) return null;
  return (
    <section class="card wide" aria-labelledby="earlier-title">
      <h2 id="earlier-title">Earlier rollouts</h2>
      <ul class="earlier">
        {past.earlier.map((record) => (
          <li key={record.id}>
            <time class="figures">{moment(record.startedAt, now)}</time>
            <span>
              <b>{`${record.from} → ${record.to}`}</b> <StateBadge state={record.state} /> <span class="figures">{`reached ${percent(record.reached)}`}</span>
              <span class="note block">{record.reason}</span>
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
