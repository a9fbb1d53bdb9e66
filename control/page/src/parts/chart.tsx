// One chart: curves, limits and moments, drawn by uPlot, said in words for those who do not see it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { clock } from "../words";

export interface Curve {
  name: string;
  role: "candidate" | "stable" | "other";
  values: (number | null)[];
}

export interface Limit {
  value: number;
  label: string;
  tone: "bad" | "calm";
}

export interface Marked {
  at: number;
  tone: "bad" | "good" | "calm";
  label: string;
}

interface Props {
  title: string;
  times: number[];
  curves: Curve[];
  limits: Limit[];
  marks: Marked[];
  show: (value: number | null) => string;
  /** The axis reaches at least so far. */
  floor: number;
  stepped?: boolean;
  beside?: ComponentChildren;
}

const HEIGHT = 190;
/** A limit that is further away than this many times the largest value is named and not drawn. */
const FAR = 12;

export function Chart(props: Props) {
  const { title, times, curves, limits, show, beside } = props;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(props);
  newest.current = props;
  const [at, setAt] = useState<number | null>(null);
  const dark = useDark();
  const shape = `${dark} ${curves.map((c) => c.role + c.name).join(" ")}`;

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(options(element, newest, setAt), data(newest.current), element);
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);
  useEffect(() => plot.current?.setData(data(newest.current)), [times, curves, limits]);

  const far = limits.filter((limit) => limit.value > top(newest.current));
  const index = at ?? times.length - 1;
  return (
    <figure class="card chart">
      <figcaption>
        <h3>{title}</h3>
        {beside}
        <ul class="legend">
          {curves.map((curve) => (
            <li key={curve.name} class={curve.role}>
              <i class={`swatch ${curve.role}`} aria-hidden="true" />
              {curve.name} <b class="figures">{show(at === null ? last(curve.values) : (curve.values[index] ?? null))}</b>
            </li>
          ))}
          {at !== null && <li class="figures when">{clock((times[index] ?? 0) * 1000)}</li>}
          {far.map((limit) => (
            <li key={limit.label} class="far">{`↑ ${limit.label}`}</li>
          ))}
        </ul>
      </figcaption>
      <div ref={place} class="plot" role="img" aria-label={said(props)} />
    </figure>
  );
}

function said({ title, curves, limits, show }: Props): string {
  const now = curves.map((c) => `${c.name} ${show(last(c.values))}`).join(", ");
  const bounds = limits.map((limit) => limit.label).join(", ");
  return `${title}: now ${now}${bounds ? `; limits: ${bounds}` : ""}`;
}

function last(values: (number | null)[]): number | null {
  return values.at(-1) ?? values.at(-2) ?? null;
}

function data({ times, curves }: Props): uPlot.AlignedData {
  return [times, ...curves.map((c) => c.values)] as uPlot.AlignedData;
}

/** The upper end of the axis: all values, and the limits that are near enough to tell something. */
function top({ curves, limits, floor }: Props): number {
  const most = curves.reduce((m, c) => c.values.reduce<number>((n, v) => Math.max(n, v ?? 0), m), 0);
  const near = limits.filter((limit) => limit.value <= Math.max(most, floor) * FAR);
  return Math.max(floor, most * 1.08, ...near.map((limit) => limit.value * 1.25));
}

type Newest = { current: Props };

function options(element: HTMLElement, newest: Newest, setAt: (at: number | null) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const { curves, stepped } = newest.current;
  const axis: uPlot.Axis = {
    stroke: colour("muted"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { show: false },
  };
  const paths = stepped ? uPlot.paths.stepped?.({ align: 1 }) : undefined;
  const series = curves.map((curve): uPlot.Series => {
    const line = colour(curve.role);
    return {
      stroke: line,
      width: curve.role === "candidate" ? 2 : 1.5,
      points: { show: false },
      ...(curve.role === "other" ? { dash: [4, 3] } : {}),
      ...(stepped && curve.role === "candidate" ? { fill: `${line}22` } : {}),
      ...(paths ? { paths } : {}),
    };
  });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [10, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false }, sync: { key: "serin" } },
    scales: {
      x: { range: (_, min, max) => [Math.min(min, max - 30), max] },
      y: { range: () => [0, top(newest.current)] },
    },
    axes: [
      { ...axis, space: 70, size: 26, values: (_, splits, __, ___, step) => splits.map((s) => clock(s * 1000).slice(0, step < 60 ? 8 : 5)) },
      { ...axis, size: 54, space: 34, gap: 6, values: (_, splits) => splits.map((s) => newest.current.show(s)) },
    ],
    series: [{}, ...series],
    hooks: {
      drawAxes: [(u) => moments(u, newest.current, colour)],
      draw: [(u) => bounds(u, newest.current, colour, style.fontFamily)],
      setCursor: [(u) => setAt(u.cursor.idx ?? null)],
    },
  };
}

function moments(u: uPlot, { marks }: Props, colour: (name: string) => string): void {
  const { left, top: above, width, height } = u.bbox;
  for (const mark of marks) {
    const x = u.valToPos(mark.at, "x", true);
    if (x < left || x > left + width) continue;
    line(u.ctx, colour(mark.tone === "calm" ? "mark" : mark.tone), [3, 3], [x, above], [x, above + height]);
  }
}

function bounds(u: uPlot, props: Props, colour: (name: string) => string, family: string): void {
  const { left, width } = u.bbox;
  const ratio = devicePixelRatio;
  for (const limit of props.limits) {
    if (limit.value > top(props)) continue;
    const y = u.valToPos(limit.value, "y", true);
    const ink = colour(limit.tone === "bad" ? "bad" : "muted");
    line(u.ctx, ink, [6, 4], [left, y], [left + width, y]);
    u.ctx.save();
    u.ctx.font = `600 ${11 * ratio}px ${family}`;
    u.ctx.fillStyle = ink;
    u.ctx.textAlign = "right";
    u.ctx.textBaseline = "bottom";
    u.ctx.strokeStyle = colour("card");
    u.ctx.lineWidth = 3 * ratio;
    u.ctx.lineJoin = "round";
    const [x, above] = [left + width - 2 * ratio, y - 3 * ratio];
    u.ctx.strokeText(limit.label, x, above);
    u.ctx.fillText(limit.label, x, above);
    u.ctx.restore();
  }
}

type Point = [number, number];

function line(ctx: CanvasRenderingContext2D, ink: string, dash: number[], from: Point, to: Point): void {
  ctx.save();
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.setLineDash(dash.map((d) => d * devicePixelRatio));
  ctx.beginPath();
  ctx.moveTo(...from);
  ctx.lineTo(...to);
  ctx.stroke();
  ctx.restore();
}

function useDark(): boolean {
  const query = "(prefers-color-scheme: dark)";
  const [dark, setDark] = useState(matchMedia(query).matches);
  useEffect(() => {
    const media = matchMedia(query);
    const changed = () => setDark(media.matches);
    media.addEventListener("change", changed);
    return () => media.removeEventListener("change", changed);
  }, []);
  return dark;
}
