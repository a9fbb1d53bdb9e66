// What stands between the rollout and its next step.

import type { Rollout } from "../types";
import { count, share } from "../words";

export function Needs({ rollout }: { rollout: Rollout }) {
  const { proof } = rollout;
  const next = rollout.step < rollout.steps ? "the next step" : "completion";
  return (
    <section class="card" aria-labelledby="needs-title">
      <h2 id="needs-title">
        Before {next} <small>all of it must be settled</small>
      </h2>
      {rollout.objections.length > 0 ? (
        <ul class="objections">
          {rollout.objections.map((objection) => (
            <li key={objection}>{objection}</li>
          ))}
        </ul>
      ) : (
        <p class="note">Nothing stands against it.</p>
      )}
      <Progress
        name="Requests in this step"
        value={proof.requests}
        of={proof.requestsNeeded}
        words={`${count(proof.requests)} of ${count(proof.requestsNeeded)}`}
      />
      {proof.valueNeeded !== null && (
        <Progress
          name="Proof that it is as good"
          value={Math.log(Math.max(1, proof.value ?? 1))}
          of={Math.log(proof.valueNeeded)}
          words={`${short(proof.value ?? 0)} of ${short(proof.valueNeeded)}`}
        />
      )}
      {proof.valueNeeded !== null && proof.harmLimit !== null && (
        <Progress
          name={
            proof.harmLimit >= 1
              ? "Or: the next step is too short for much harm"
              : `Or: it fails less than ${share(proof.harmLimit)}, of which little harm comes`
          }
          value={Math.log(Math.max(1, proof.harmValue ?? 1))}
          of={Math.log(proof.valueNeeded)}
          words={`${short(proof.harmValue ?? 0)} of ${short(proof.valueNeeded)}`}
        />
      )}
      {proof.outlook !== null && <p class="note">Still needed: {proof.outlook}.</p>}
    </section>
  );
}

function Progress({ name, value, of, words }: { name: string; value: number; of: number; words: string }) {
  const done = of <= 0 ? 1 : Math.min(1, value / of);
  return (
    <div class="progress">
      <span>{name}</span>
      <span class="figures">{words}</span>
      <span class={`track ${done >= 1 ? "good" : "busy"}`} role="progressbar" aria-label={name} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(done * 100)} aria-valuetext={words}>
        <i style={{ width: `${done * 100}%` }} />
      </span>
    </div>
  );
}

function short(value: number): string {
  return value >= 10_000 ? "over 10,000" : value >= 100 ? count(Math.round(value)) : value.toFixed(1);
}
