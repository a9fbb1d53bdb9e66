// Who gets how much now. The bar is for the eye; the words beside it say the same.

import type { Service } from "../types";
import { percent } from "../words";

export function SplitBar({ service, large }: { service: Service; large?: boolean }) {
  const parts = shares(service);
  return (
    <div class={large ? "split large" : "split"}>
      <div class="bar" aria-hidden="true">
        {parts.map((part) => (
          <i key={part.name} class={part.role} style={{ flexGrow: part.weight }} />
        ))}
      </div>
      <ul class="split-words">
        {parts.map((part) => (
          <li key={part.name} class={part.role}>
            <i class="swatch" aria-hidden="true" />
            <b>{part.name}</b> <span class="figures">{percent(part.weight)}</span>
            {large && <small>{part.what}</small>}
          </li>
        ))}
      </ul>
    </div>
  );
}

interface Share {
  name: string;
  weight: number;
  role: string;
  what: string;
}

/** Stable first, then the candidate; versions without weight and role are left out. */
function shares(service: Service): Share[] {
  const shown = service.versions.filter((v) => v.role !== "idle" || (service.weights[v.name] ?? 0) > 0);
  const order = { stable: 0, candidate: 1, idle: 2 };
  return [...shown]
    .sort((a, b) => order[a.role] - order[b.role])
    .map((version) => ({
      name: version.name,
      weight: service.weights[version.name] ?? 0,
      role: version.role,
      what: [
        version.role === "idle" ? "" : version.role,
        version.release === version.name ? "" : version.release,
        `${version.ready} of ${version.endpoints} ready`,
      ]
        .filter(Boolean)
        .join(" · "),
    }));
}
