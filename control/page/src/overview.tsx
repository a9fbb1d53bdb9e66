// All services at a glance: whoever needs somebody comes first.

import { over } from "./ask";
import { BudgetMeter } from "./parts/budget";
import { SplitBar } from "./parts/split";
import { StateBadge, needsSomebody } from "./parts/state";
import type { Service, Snapshot } from "./types";
import { ago, percent, plural, rate, sentence, share, span } from "./words";

export function Overview({ snapshot }: { snapshot: Snapshot }) {
  const { services } = snapshot;
  const sorted = [...services].sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const now = new Date(snapshot.at);
  return (
    <>
      <div class="title">
        <h1 tabIndex={-1}>Services</h1>
        <p class="sum">{sum(services)}</p>
      </div>
      {services.length === 0 ? (
        <section class="empty">
          <h2>No services yet</h2>
          <p>The configuration names none. Add one under <code>services</code>; it appears here once the configuration is in force.</p>
        </section>
      ) : (
        <ul class="services">
          {sorted.map((service) => (
            <Row key={service.name} service={service} now={now} />
          ))}
        </ul>
      )}
    </>
  );
}

function Row({ service, now }: { service: Service; now: Date }) {
  const { rollout } = service;
  return (
    <li class={`card service-row${needsSomebody(service) ? " wanted" : ""}`}>
      <div class="who">
        <h2>
          <a href={`#/${encodeURIComponent(service.name)}`}>{service.name}</a>
        </h2>
        <StateBadge state={rollout?.state ?? null} />
      </div>
      <SplitBar service={service} />
      <p class="what">{what(service, now)}</p>
      <Errors service={service} />
      <div class="cell budget">
        <small>Budget left</small>
        <BudgetMeter slo={service.slo} name={service.name} />
      </div>
    </li>
  );
}

function Errors({ service }: { service: Service }) {
  const of = (role: string) => service.versions.find((v) => v.role === role)?.lastMinute;
  const [stable, candidate] = [of("stable"), of("candidate")];
  const perSecond = service.versions.reduce((sum, v) => sum + v.lastMinute.requestsPerSecond, 0);
  return (
    <dl class="pairs">
      <div class="errors">
        <dt>Errors</dt>
        <dd class="figures">
          {candidate && <b class="of-candidate">{share(candidate.errorRatio)}</b>}
          {candidate && <small>beside</small>}
          <span>{share(stable?.errorRatio)}</span>
        </dd>
      </div>
      <div class="requests-now">
        <dt>Requests</dt>
        <dd class="figures">{rate(perSecond)}/s</dd>
      </div>
    </dl>
  );
}

/** One line: the step, and what it waits for or how it ended. */
function what(service: Service, now: Date): string {
  const { rollout } = service;
  if (!rollout) return service.plan && service.plan.to !== service.stable ? `${service.plan.to} is ready to roll out` : "No rollout";
  if (over(rollout)) return `${rollout.to}: ${rollout.reason}${rollout.endedAt ? `, ${ago(rollout.endedAt, now)}` : ""}`;
  const step = rollout.step === 0 ? (rollout.weight > 0 ? `At ${percent(rollout.weight)} by hand` : "Before the first step") : `Step ${rollout.step} of ${rollout.steps}`;
  const left = rollout.state === "running" && rollout.stepRemainingSeconds > 0 ? `${span(rollout.stepRemainingSeconds)} of its hold to go` : "";
  return `${step} · ${left || (rollout.objections[0] ?? sentence(rollout.reason))}`;
}

function rank(service: Service): number {
  const { rollout } = service;
  if (needsSomebody(service)) return 0;
  if (rollout?.state === "rolledBack") return 1;
  if (rollout && !over(rollout)) return 2;
  return 3;
}

function sum(services: Service[]): string {
  const busy = services.filter((s) => s.rollout && !over(s.rollout)).length;
  const wanted = services.filter(needsSomebody).length;
  const parts = [plural(services.length, "service"), busy === 0 ? "no rollout under way" : `${plural(busy, "rollout")} under way`];
  if (wanted > 0) parts.push(`${wanted} waiting for somebody`);
  return parts.join(" · ");
}
