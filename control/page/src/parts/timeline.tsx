// What was decided, the latest first, each with the evidence that it rests on.

import type { Entry, Evidence } from "../types";
import type { Past } from "../use";
import { clock, count, moment, percent, share } from "../words";

export function Timeline({ past, now }: { past: Past | "none" | null; now: Date }) {
  return (
    <section class="card wide" aria-labelledby="timeline-title">
      <h2 id="timeline-title">
        Decisions {past && past !== "none" && <small>{past.record.id}</small>}
      </h2>
      {past === null ? (
        <p class="note">Reading the journal…</p>
      ) : past === "none" ? (
        <p class="note">Nothing was decided yet. The first rollout begins a timeline here, with the numbers behind every decision.</p>
      ) : (
        <ol class="timeline">
          {[...past.record.timeline].reverse().map((entry, at) => (
            <Decision key={`${entry.at} ${entry.what} ${at}`} entry={entry} evidence={evidenceOf(past.evidence, entry)} now={now} />
          ))}
        </ol>
      )}
    </section>
  );
}

/** A record and its decision are of the same moment. */
function evidenceOf(all: Evidence[], entry: Entry): Evidence | undefined {
  return all.find((e) => e.at === entry.at && e.events.includes(entry.what)) ?? all.find((e) => e.at === entry.at);
}

function Decision({ entry, evidence, now }: { entry: Entry; evidence: Evidence | undefined; now: Date }) {
  const named = entry.actor !== null && entry.what.includes(entry.actor);
  const who = [named ? null : entry.actor, entry.reason ? `“${entry.reason}”` : null].filter(Boolean).join(": ");
  return (
    <li class={tone(entry.what)}>
      <time dateTime={entry.at} class="figures">
        {moment(entry.at, now)}
      </time>
      <div>
        <p>
          {entry.what} <span class="tag figures">{percent(entry.weight)}</span>
        </p>
        {who !== "" && <p class="note">{who}</p>}
        {evidence && <Grounds evidence={evidence} />}
      </div>
    </li>
  );
}

function Grounds({ evidence }: { evidence: Evidence }) {
  const facts: [string, string][] = [["Rule", evidence.rule]];
  if (evidence.observed !== null) facts.push(["Saw", figure(evidence.observed)]);
  if (evidence.stableObserved !== null) facts.push(["Stable", figure(evidence.stableObserved)]);
  if (evidence.threshold !== null) facts.push(["Limit", figure(evidence.threshold)]);
  facts.push(["Candidate's requests", count(evidence.samples)], ["Stable's requests", count(evidence.stableSamples)]);
  return (
    <details>
      <summary>Evidence</summary>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd class="figures">{value}</dd>
          </div>
        ))}
      </dl>
      {evidence.badRequests.length > 0 && (
        <>
          <h3>Bad requests of the candidate</h3>
          <ul class="requests">
            {evidence.badRequests.map((bad) => (
              <li key={bad.requestId}>
                <time class="figures">{clock(bad.at)}</time> <b>{bad.what}</b> <code>{bad.requestId}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      <details>
        <summary>All numbers</summary>
        <pre tabIndex={0}>{JSON.stringify(evidence.evidence.numbers ?? evidence.evidence, null, 2)}</pre>
      </details>
    </details>
  );
}

/** Shares as percent; everything else (evidence, seconds, counts) as it is. */
function figure(value: number): string {
  if (value >= 0 && value <= 1) return share(value);
  return value >= 100 ? count(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function tone(what: string): string {
  if (/^rolled back/.test(what)) return "bad";
  if (/^complete/.test(what)) return "good";
  if (/paused|inconclusive|burn rule|set by hand/.test(what)) return "warn";
  return "";
}
