// What the version that gets copies answered otherwise than stable did.

import type { Difference, Shadow } from "../types";
import { useJson } from "../use";
import { clock, count, millis, percent, plural, share, spaced } from "../words";

export function ShadowDifferences({ service, able }: { service: string; able: boolean }) {
  const shadow = useJson<Shadow>(`/v1/services/${service}/shadow`, 5_000, able);
  return (
    <section class="card" aria-labelledby="shadow-title">
      <h2 id="shadow-title">
        Shadow differences{" "}
        {shadow && shadow !== "none" && <small>{`${percent(shadow.share)} of requests are copied to ${shadow.to}`}</small>}
      </h2>
      {shadow === null ? (
        <p class="note">Reading…</p>
      ) : shadow === "none" ? (
        <p class="note">
          No version gets copies of this service's requests. A <code>shadow</code> in the configuration sends them, and what it answers otherwise than stable appears here.
        </p>
      ) : (
        <Found shadow={shadow} />
      )}
    </section>
  );
}

function Found({ shadow }: { shadow: Shadow }) {
  const { results, differences, latency } = shadow;
  const compared = results.same + results.different;
  const dropped = Object.entries(shadow.dropped).filter(([, n]) => n > 0);
  return (
    <>
      <dl class="facts">
        <Fact name="Compared" value={count(compared)} />
        <Fact name="Different" value={`${count(results.different)}${compared > 0 ? ` (${share(results.different / compared)})` : ""}`} hot={results.different > 0} />
        <Fact name="Failed" value={count(results.failed)} hot={results.failed > 0} />
        {results.answered > 0 && <Fact name="Not compared" value={count(results.answered)} />}
        {latency && <Fact name="p95 beside stable" value={`${millis(latency.shadow.p95Ms)} / ${millis(latency.stable.p95Ms)}`} />}
      </dl>
      {differences.length === 0 ? (
        <p class="note">{compared > 0 ? "Every answer was the same." : "Nothing was compared yet."}</p>
      ) : (
        <ul class="differences">
          {differences.map((difference) => (
            <One key={`${difference.route} ${difference.path}`} difference={difference} />
          ))}
        </ul>
      )}
      {shadow.noise.length > 0 && (
        <p class="note">
          Left out, because stable differs from itself there: <code>{shadow.noise.map((n) => n.path).join(", ")}</code>
        </p>
      )}
      {dropped.length > 0 && <p class="note">{`Copies not sent: ${dropped.map(([why, n]) => `${count(n)} ${spaced(why)}`).join(", ")}.`}</p>}
      {shadow.notKept > 0 && <p class="note">{`${plural(shadow.notKept, "more difference")} found no place here.`}</p>}
    </>
  );
}

function Fact({ name, value, hot }: { name: string; value: string; hot?: boolean }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class={hot ? "figures hot" : "figures"}>{value}</dd>
    </div>
  );
}

function One({ difference }: { difference: Difference }) {
  return (
    <li>
      <p>
        <code>{difference.path}</code> <span class="tag figures">{`${count(difference.count)}×`}</span> <small>{`route ${difference.route}, last ${clock(difference.last)}`}</small>
      </p>
      {difference.samples.length > 0 && (
        <details>
          <summary>{`Samples of ${difference.path}`}</summary>
          {difference.samples.map((sample) => (
            <dl key={sample.requestId} class="sample">
              <dt>Request</dt>
              <dd>
                <code>{sample.request}</code> <small>{sample.requestId}</small>
              </dd>
              <dt>Stable</dt>
              <dd>
                <code>{sample.stable}</code>
              </dd>
              <dt>Shadow</dt>
              <dd>
                <code>{sample.shadow}</code>
              </dd>
            </dl>
          ))}
        </details>
      )}
    </li>
  );
}
