// A service over time: who got how much, who failed, who was slow.

import { useMemo, useState } from "preact/hooks";
import type { Guard, History, RolloutRecord, Service } from "../types";
import { columnOf } from "../use";
import { clock, millis, percent, share, span } from "../words";
import { Chart, type Curve, type Limit, type Marked } from "./chart";
import { quantile, shown } from "./guards";

export const PERIODS = [
  { seconds: 300, label: "5 min" },
  { seconds: 900, label: "15 min" },
  { seconds: 10_800, label: "3 h" },
  { seconds: 86_400, label: "24 h" },
] as const;

interface Props {
  service: Service;
  history: History | null;
  record: RolloutRecord | null;
  period: number;
  setPeriod: (seconds: number) => void;
}

export function Charts({ service, history, record, period, setPeriod }: Props) {
  const [q, setQ] = useState<"p50Ms" | "p95Ms" | "p99Ms">("p95Ms");
  const drawn = useMemo(() => (history && history.times.length > 1 ? prepared(history) : null), [history]);
  const people = cast(service, drawn);
  const marks = useMemo(() => marked(record), [record]);
  const name = { p50Ms: "p50", p95Ms: "p95", p99Ms: "p99" }[q];
  const guards = service.rollout?.guards ?? [];
  const of = (pick: (column: Smooth) => (number | null)[]): Curve[] =>
    people.map(({ version, role }) => ({ name: version, role, values: drawn ? pick(drawn.of(version)) : [] }));
  return (
    <section class="wide charts" aria-labelledby="charts-title">
      <div class="charts-head">
        <h2 id="charts-title">
          Over time{" "}
          {drawn && <small class="figures">{`${span(drawn.from)} shown, a point every ${span(drawn.step)}`}</small>}
        </h2>
        <Choice name="Period" options={PERIODS.map((p) => [p.label, p.seconds])} value={period} set={setPeriod} />
      </div>
      {!drawn ? (
        <p class="card note">{history ? "Serin has just started to watch: the first points come in a moment." : "Reading the last minutes…"}</p>
      ) : (
        <div class="chart-grid">
          <Chart title="Weights" times={drawn.times} curves={of((c) => c.weights)} limits={[]} marks={marks} show={percentOf} floor={100} stepped />
          <Chart title="Error rate" times={drawn.times} curves={of((c) => c.errors)} limits={limitsOf(guards, "errorRate", 1)} marks={marks} show={share} floor={0.01} />
          <Chart
            title={`Latency, ${name}`}
            times={drawn.times}
            curves={of((c) => c[q])}
            limits={[...limitsOf(guards, "latency", 1, name), ...promised(service)]}
            marks={marks}
            show={millis}
            floor={10}
            beside={<Choice name="Quantile" options={[["p50", "p50Ms"], ["p95", "p95Ms"], ["p99", "p99Ms"]]} value={q} set={setQ} />}
          />
        </div>
      )}
    </section>
  );
}

function percentOf(value: number | null): string {
  return value === null ? "–" : percent(value * 100);
}

interface Smooth {
  weights: (number | null)[];
  errors: (number | null)[];
  p50Ms: (number | null)[];
  p95Ms: (number | null)[];
  p99Ms: (number | null)[];
}

interface Drawn {
  times: number[];
  step: number;
  /** Seconds that are shown. */
  from: number;
  versions: string[];
  of: (version: string) => Smooth;
}

/** A second holds few requests: an error rate is that of the last ten points there. */
const TOGETHER = 10;

/** Columns for drawing: a stretch that was not observed becomes a gap and not a straight line. */
export function prepared(history: History): Drawn {
  const { times, stepSeconds: step } = history;
  const gaps = times.map((t, i) => i > 0 && t - (times[i - 1] ?? t) > step * 3);
  const spread = <T,>(values: (T | null)[]): (T | null)[] =>
    values.flatMap((value, i) => (gaps[i] ? [null, value] : [value]));
  const axis = times.flatMap((t, i) => (gaps[i] ? [(times[i - 1] ?? t) + step, t] : [t]));
  const of = (version: string): Smooth => {
    const column = columnOf(history, version);
    return {
      weights: spread(column.weights.map((points) => points / 100)),
      errors: spread(step === 1 ? trailing(column.bad, column.requests) : ratio(column.bad, column.requests)),
      p50Ms: spread(column.p50Ms),
      p95Ms: spread(column.p95Ms),
      p99Ms: spread(column.p99Ms),
    };
  };
  const shown = (times.at(-1) ?? 0) - (times[0] ?? 0);
  return { times: axis, step, from: shown, versions: history.versions.map((v) => v.name), of };
}

function ratio(bad: number[], requests: number[]): (number | null)[] {
  return bad.map((b, i) => (requests[i] ? b / (requests[i] ?? 1) : null));
}

function trailing(bad: number[], requests: number[]): (number | null)[] {
  let [b, r] = [0, 0];
  return bad.map((now, i) => {
    b += now - (bad[i - TOGETHER] ?? 0);
    r += (requests[i] ?? 0) - (requests[i - TOGETHER] ?? 0);
    return r > 0 && requests[i] ? b / r : null;
  });
}

/** Who is drawn, and as whom: the rollout's two sides, then whoever else had traffic. */
function cast(service: Service, drawn: Drawn | null): { version: string; role: Curve["role"] }[] {
  const { rollout } = service;
  const candidate = rollout?.to;
  const stable = rollout && service.stable === rollout.to ? rollout.from : service.stable;
  const others = (drawn?.versions ?? []).filter((v) => v !== candidate && v !== stable);
  return [
    ...(candidate ? [{ version: candidate, role: "candidate" as const }] : []),
    ...(stable ? [{ version: stable, role: "stable" as const }] : []),
    ...others.map((version) => ({ version, role: "other" as const })),
  ];
}

function limitsOf(guards: Guard[], kind: Guard["kind"], scale: number, only?: string): Limit[] {
  return guards
    .filter((g) => g.kind === kind && (!only || quantile(g) === only))
    .map((g) => ({ value: g.threshold * scale, label: `guard ${g.name} ${shown(g, g.threshold)}`, tone: "bad" }));
}

function promised({ slo }: Service): Limit[] {
  if (slo.latencyUnderMs === null) return [];
  return [{ value: slo.latencyUnderMs, label: `objective ${millis(slo.latencyUnderMs)}`, tone: "calm" }];
}

function marked(record: RolloutRecord | null): Marked[] {
  return (record?.timeline ?? []).map((entry) => ({
    at: Date.parse(entry.at) / 1000,
    tone: /^rolled back/.test(entry.what) ? "bad" : /^complete/.test(entry.what) ? "good" : "calm",
    label: `${clock(entry.at)} ${entry.what}`,
  }));
}

interface ChoiceProps<T extends string | number> {
  name: string;
  options: readonly (readonly [string, T])[];
  value: T;
  set: (value: T) => void;
}

function Choice<T extends string | number>({ name, options, value, set }: ChoiceProps<T>) {
  return (
    <div class="choice" role="group" aria-label={name}>
      {options.map(([text, of]) => (
        <button key={text} type="button" aria-pressed={of === value} onClick={() => set(of)}>
          {text}
        </button>
      ))}
    </div>
  );
}
