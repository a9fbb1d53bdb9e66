// What is left of an error budget.

import type { Slo } from "../types";
import { budget } from "../words";

export function BudgetMeter({ slo, name }: { slo: Slo; name: string }) {
  const left = slo.budgetRemaining;
  const tone = left === null ? "calm" : left < 0.1 ? "bad" : left < 0.5 ? "warn" : "good";
  const value = Math.max(0, Math.min(1, left ?? 0));
  return (
    <div class={`meter ${tone}`}>
      <span class="track" role="meter" aria-label={`Error budget of ${name}`} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(value * 100)} aria-valuetext={left === null ? "nothing counted yet" : `${budget(left)} left`}>
        <i style={{ width: `${value * 100}%` }} />
      </span>
      <span class="figures" aria-hidden="true">
        {budget(left)}
      </span>
    </div>
  );
}
