// Candidate beside stable, over the present step: the numbers behind the charts.

import { over } from "../ask";
import type { Figures, Rollout } from "../types";
import { count, millis, rate, share } from "../words";

export function Comparison({ rollout, stable }: { rollout: Rollout; stable: string }) {
  const { candidate, stable: beside } = rollout.comparison;
  const from = rollout.state === "complete" ? rollout.from || stable : stable;
  const rows: [string, (f: Figures) => string][] = [
    ["Requests", (f) => count(f.requests)],
    ["Per second", (f) => rate(f.requestsPerSecond)],
    ["Bad", (f) => count(f.bad)],
    ["Error rate", (f) => share(f.errorRatio)],
    ["p50", (f) => millis(f.p50Ms)],
    ["p95", (f) => millis(f.p95Ms)],
    ["p99", (f) => millis(f.p99Ms)],
  ];
  return (
    <section class="card" aria-labelledby="comparison-title">
      <h2 id="comparison-title">
        Candidate beside stable <small>{over(rollout) ? "since its last step began" : "this step"}</small>
      </h2>
      <table class="numbers">
        <thead>
          <tr>
            <td />
            <th scope="col">
              <i class="swatch candidate" aria-hidden="true" /> {rollout.to}
            </th>
            <th scope="col">
              <i class="swatch stable" aria-hidden="true" /> {from}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, of]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td>{of(candidate)}</td>
              <td>{of(beside)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <Harm rollout={rollout} />
    </section>
  );
}

function Harm({ rollout }: { rollout: Rollout }) {
  const { harm } = rollout;
  const of = (n: number, limit: number | null, forgiven: number) => (limit === null ? count(n) : `${count(n)} of at most ${count(limit + forgiven)}`);
  const { failedRequestsForgiven: requests, usersForgiven: users } = harm;
  return (
    <p class="note">
      Harm of this rollout: <b class="figures">{of(harm.failedRequests, harm.failedRequestsLimit, requests)}</b> failed requests, <b class="figures">{of(harm.users, harm.usersLimit, users)}</b> users
      {harm.usersToldApart ? "." : ", who cannot be told apart: each failed request counts as one."}
    </p>
  );
}
