// A rollout's state: always a word, with a sign and a colour that mean the same.

import type { Service, State } from "../types";
import { spaced } from "../words";

type Tone = "busy" | "warn" | "bad" | "good" | "calm";

const SIGNS: Record<State, { tone: Tone; sign: string }> = {
  pending: { tone: "calm", sign: "M8 3v5l3 2" },
  dark: { tone: "calm", sign: "M10.5 3a5.2 5.2 0 1 0 2.5 8A5.5 5.5 0 0 1 10.5 3Z" },
  running: { tone: "busy", sign: "M5 3.5 12 8l-7 4.5Z" },
  holding: { tone: "busy", sign: "M8 3v5l3 2" },
  paused: { tone: "warn", sign: "M5.5 3.5v9M10.5 3.5v9" },
  inconclusive: { tone: "warn", sign: "M5.8 6a2.3 2.3 0 1 1 3 2.2c-.6.3-.8.7-.8 1.3M8 12.3v.2" },
  rolledBack: { tone: "bad", sign: "M4 7h5.5a3 3 0 0 1 0 6H7M4 7l3-3M4 7l3 3" },
  superseded: { tone: "calm", sign: "M3 8h8M8 4.5 11.5 8 8 11.5M13.5 3.5v9" },
  complete: { tone: "good", sign: "m3.5 8.5 3 3 6-7" },
};

export function StateBadge({ state }: { state: State | null }) {
  if (state === null) return <span class="badge calm">at rest</span>;
  const { tone, sign } = SIGNS[state];
  return (
    <span class={`badge ${tone}`}>
      <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true">
        <path d={sign} fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" />
      </svg>
      {spaced(state)}
    </span>
  );
}

/** Whether a person is waited for, or ought to look. */
export function needsSomebody(service: Service): boolean {
  const { rollout } = service;
  if (service.versions.some((v) => v.role === "stable" && v.ready === 0)) return true;
  if (service.slo.missed) return true;
  if (!rollout) return false;
  return (
    rollout.state === "paused" ||
    rollout.state === "inconclusive" ||
    (rollout.state === "holding" && (rollout.waitingFor === "approval" || rollout.waitingFor === "checklist" || rollout.waitingFor === "operator"))
  );
}
