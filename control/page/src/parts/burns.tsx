// The error budget: what is left, and how fast each version burns it, window by window.

import type { Burn, Service } from "../types";
import { budget, share, span, times } from "../words";
import { BudgetMeter } from "./budget";

export function Burns({ service }: { service: Service }) {
  const { slo } = service;
  const rules = [...new Set(slo.burnRates.map((b) => b.name))];
  const versions = [...new Set(slo.burnRates.map((b) => b.version))];
  return (
    <section class="card" aria-labelledby="burns-title">
      <h2 id="burns-title">
        Error budget <small>{`${share(slo.objective)} good over ${span(slo.windowSeconds)}`}</small>
      </h2>
      <div class="budget-line">
        <span>{slo.budgetRemaining === null ? "Nothing counted yet" : `${budget(slo.budgetRemaining)} left`}</span>
        <BudgetMeter slo={slo} name={service.name} />
      </div>
      {slo.latencyObjective !== null && (
        <p class="note">
          {share(slo.latencyObjective)} under {slo.latencyUnderMs} ms
        </p>
      )}
      <table class="numbers burns">
        <thead>
          <tr>
            <th scope="col">Burn rate</th>
            <th scope="col" class="window">
              Over
            </th>
            {versions.map((version) => (
              <th scope="col" key={version}>
                <i class={`swatch ${version === service.stable ? "stable" : "candidate"}`} aria-hidden="true" /> {version}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rules.flatMap((rule) => rows(rule, versions, slo.burnRates))}
        </tbody>
      </table>
    </section>
  );
}

function rows(rule: string, versions: string[], burns: Burn[]) {
  const of = (version: string) => burns.find((b) => b.name === rule && b.version === version);
  const any = of(versions[0] ?? "");
  if (!any) return [];
  const windows = [
    { seconds: any.longSeconds, rate: (b: Burn) => b.longRate },
    { seconds: any.shortSeconds, rate: (b: Burn) => b.shortRate },
  ];
  return windows.map(({ seconds, rate }, at) => (
    <tr key={`${rule} ${at}`} class={at === 0 ? "first" : ""}>
      {at === 0 && (
        <th scope="rowgroup" rowSpan={2}>
          {rule} <small>limit {times(any.above)}</small>
        </th>
      )}
      <th scope="row" class="window">
        {span(seconds)}
      </th>
      {versions.map((version) => {
        const burn = of(version);
        const value = burn ? rate(burn) : null;
        const hot = value !== null && value > any.above;
        return (
          <td key={version} class={hot ? "hot" : ""}>
            {times(value)}
            {hot && <span class="unseen"> above its limit</span>}
          </td>
        );
      })}
    </tr>
  ));
}
