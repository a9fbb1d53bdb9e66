// One service: where its rollout stands, why, and what an operator may do about it.

import { useState } from "preact/hooks";
import { choices, over, type Ask } from "./ask";
import { Burns } from "./parts/burns";
import { Charts, PERIODS } from "./parts/charts";
import { Comparison } from "./parts/comparison";
import { Earlier } from "./parts/earlier";
import { Guards } from "./parts/guards";
import { Needs } from "./parts/needs";
import { ShadowDifferences } from "./parts/shadow";
import { SplitBar } from "./parts/split";
import { StateBadge } from "./parts/state";
import { Steps } from "./parts/steps";
import { Timeline } from "./parts/timeline";
import { Versions } from "./parts/versions";
import type { Rollout, Service, Snapshot } from "./types";
import { useHistory, usePast } from "./use";
import { moment, sentence, spaced } from "./words";

interface Props {
  service: Service;
  snapshot: Snapshot;
  ask: (ask: Ask) => void;
  able: boolean;
}

export function ServicePage({ service, snapshot, ask, able }: Props) {
  const { rollout } = service;
  const [period, setPeriod] = useState<number>(PERIODS[0].seconds);
  const history = useHistory(service.name, period, snapshot.at, able);
  const past = usePast(service.name, rollout, service.revision, able);
  const now = new Date(snapshot.at);
  const active = rollout !== null && !over(rollout);
  return (
    <>
      <nav aria-label="Breadcrumb" class="crumbs">
        <a href="#/">Services</a>
      </nav>
      <div class="title">
        <h1 tabIndex={-1}>{service.name}</h1>
        <StateBadge state={rollout?.state ?? null} />
        <Buttons service={service} ask={ask} able={able} />
      </div>
      <Verdict service={service} rollout={rollout} now={now} />
      {service.slo.missed && <p class="verdict bad">{sentence(service.slo.missed.message)}</p>}
      {rollout?.failures && (
        <p class={`verdict ${rollout.failures.concentrated ? "warn" : "calm"}`}>
          <b>Failures.</b> {sentence(rollout.failures.summary)}
        </p>
      )}
      <div class="grid">
        <section class="card wide" aria-labelledby="split-title">
          <h2 id="split-title">Traffic</h2>
          <SplitBar service={service} large />
          {rollout && <Steps rollout={rollout} />}
        </section>
        <Charts service={service} history={history} record={past && past !== "none" ? past.record : null} period={period} setPeriod={setPeriod} />
        {rollout && active && <Guards rollout={rollout} />}
        <div class="column">
          {rollout ? <Comparison rollout={rollout} stable={service.stable} /> : <Versions service={service} />}
          <ShadowDifferences service={service.name} able={able} />
        </div>
        <div class="column">
          {rollout && active && <Needs rollout={rollout} />}
          <Burns service={service} />
        </div>
        <Timeline past={past} now={now} />
        <Earlier past={past} now={now} />
      </div>
    </>
  );
}

function Buttons({ service, ask, able }: { service: Service; ask: (ask: Ask) => void; able: boolean }) {
  const offered = choices(service);
  if (offered.length === 0) return null;
  return (
    <div class="buttons" role="group" aria-label={`What you can do with ${service.name}`}>
      {offered.map((choice) => (
        <button key={choice.label} type="button" class={`button${choice.primary ? " primary" : ""}${choice.ask.danger ? " danger-line" : ""}`} aria-disabled={!able} onClick={() => able && ask(choice.ask)}>
          {choice.label}
        </button>
      ))}
    </div>
  );
}

/** The answer to "why?", before anything else. */
function Verdict({ service, rollout, now }: { service: Service; rollout: Rollout | null; now: Date }) {
  if (!rollout) {
    const { plan } = service;
    const ready = plan && plan.to !== service.stable;
    return (
      <p class="verdict calm">
        {ready
          ? `No rollout yet. The configuration plans ${plan.to} (${plan.release}), ${spaced(plan.strategy)}, in ${plan.steps.length} steps.`
          : "No rollout is planned: everything goes to stable."}
      </p>
    );
  }
  const tone = { rolledBack: "bad", complete: "good", paused: "warn", inconclusive: "warn" }[rollout.state as string] ?? "calm";
  const ended = rollout.endedAt ? ` at ${moment(rollout.endedAt, now)}` : "";
  const lead =
    rollout.state === "rolledBack"
      ? `${rollout.to} was rolled back${ended}.`
      : rollout.state === "superseded"
        ? `${rollout.to} was superseded${ended}.`
      : rollout.state === "complete"
        ? `${rollout.to} became stable${ended}.`
        : `${rollout.from || service.stable} → ${rollout.to}${rollout.step > 0 ? `, step ${rollout.step} of ${rollout.steps}` : ""}.`;
  return (
    <p class={`verdict ${tone}`}>
      <b>{lead}</b> {sentence(rollout.reason)}
      {service.queued && ` Queued: ${service.queued} starts when it has ended.`}
    </p>
  );
}
