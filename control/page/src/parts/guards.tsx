// What can end or stop the rollout, and how far each is from doing so.

import type { Guard, Rollout } from "../types";
import { count, millis, plural, share, span, spaced } from "../words";

export function Guards({ rollout }: { rollout: Rollout }) {
  return (
    <section class="card wide" aria-labelledby="guards-title">
      <h2 id="guards-title">Guards</h2>
      {rollout.guards.length === 0 ? (
        <p class="note">The plan has none of its own. Burn rates and the comparison with stable guard it.</p>
      ) : (
        <ul class="guards">
          {rollout.guards.map((guard) => (
            <Row key={guard.name} guard={guard} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Row({ guard }: { guard: Guard }) {
  const over = guard.overSeconds > 0 ? `over ${span(guard.overSeconds)}` : "over the step";
  const standing = guard.forSeconds > 0 ? `, for ${span(guard.forSeconds)}` : "";
  const [tone, words] = state(guard);
  return (
    <li>
      <div class="rule">
        <b>{guard.name}</b>
        <small>{`${label(guard)} ${over}${standing}`}</small>
      </div>
      <div class="reading">
        <span class="figures">
          {guard.observed !== null && <b>{shown(guard, guard.observed)} of </b>}
          {guard.kind === "signal" ? "at least" : "at most"} {shown(guard, guard.threshold)}
        </span>
        <Nearness guard={guard} tone={tone} />
        <small class="figures">
          {[guard.stable === null ? "" : `stable ${shown(guard, guard.stable)}`, seen(guard)].filter(Boolean).join(" · ")}
        </small>
      </div>
      <div class="then">
        <span class={`badge small ${tone}`}>{words}</span>
        <small>{`beyond it: ${spaced(guard.action)}`}</small>
      </div>
    </li>
  );
}

function seen({ seen, needed }: Guard): string {
  if (seen < needed) return `${count(seen)} of ${plural(needed, "request")} seen`;
  return seen > 0 ? `${plural(seen, "request")} seen` : "nothing seen yet";
}

/** How much of the way to its limit it has gone, with stable as a mark; a signal comes from above. */
function Nearness({ guard, tone }: { guard: Guard; tone: string }) {
  const way = (value: number | null) => {
    if (value === null || guard.threshold <= 0) return null;
    const gone = guard.kind === "signal" ? guard.threshold / Math.max(value, guard.threshold / 100) : value / guard.threshold;
    return Math.min(1, gone) * 100;
  };
  const [candidate, stable] = [way(guard.observed), way(guard.stable)];
  return (
    <span class={`track ${tone === "good" ? "busy" : ""} ${tone}-track`} aria-hidden="true">
      {candidate !== null && <i style={{ width: `${candidate}%` }} />}
      {stable !== null && <u style={{ left: `${stable}%` }} />}
    </span>
  );
}

function state(guard: Guard): [string, string] {
  if (guard.breached && guard.shared) return ["warn", "beyond, and stable no better"];
  if (guard.proven) return ["bad", "beyond, and proven"];
  if (guard.breached) return ["warn", "beyond, perhaps by chance"];
  return guard.observed === null ? ["calm", "no reading yet"] : ["good", "within"];
}

export function label(guard: Guard): string {
  switch (guard.kind) {
    case "errorRate":
      return "error rate";
    case "latency":
      return quantile(guard);
    case "signal":
      return guard.signal ?? "signal";
    case "shadowMismatch":
      return "shadow differences";
    case "shadowErrors":
      return "shadow errors";
  }
}

export function quantile(guard: Guard): string {
  return `p${Number(((guard.quantile ?? 0) * 100).toFixed(2))}`;
}

export function shown(guard: Guard, value: number | null): string {
  return guard.kind === "latency" ? millis(value) : share(value);
}
