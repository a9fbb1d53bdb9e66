// Numbers and moments as people read them. Everything here is a pure function.

export function percent(basisPoints: number): string {
  return `${trim((basisPoints / 100).toFixed(2))}%`;
}

/** A share from 0 to 1, with the digits that tell it from its neighbours. */
export function share(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const hundred = value * 100;
  if (hundred === 0) return "0%";
  const digits = Math.abs(hundred) >= 10 ? 1 : Math.abs(hundred) >= 0.1 ? 2 : 3;
  return `${trim(hundred.toFixed(digits))}%`;
}

export function budget(left: number | null): string {
  return left === null ? "–" : `${trim((left * 100).toFixed(Math.abs(left) < 0.1 ? 1 : 0))}%`;
}

export function millis(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  if (value >= 1000) return `${trim((value / 1000).toFixed(2))} s`;
  return value >= 100 ? `${Math.round(value)} ms` : `${trim(value.toFixed(1))} ms`;
}

export function count(value: number): string {
  return value.toLocaleString("en-GB");
}

export function rate(perSecond: number): string {
  return perSecond >= 100 ? count(Math.round(perSecond)) : trim(perSecond.toFixed(1));
}

/** How many times too fast. */
export function times(value: number | null): string {
  if (value === null) return "–";
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)}×`;
}

/** `1h5m`, `4m10s`, `12s`, as Serin itself writes them: two units at most. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return h > 0 ? `${d}d${h}h` : `${d}d`;
  if (h > 0) return m > 0 ? `${h}h${m}m` : `${h}h`;
  if (m > 0) return s % 60 > 0 ? `${m}m${s % 60}s` : `${m}m`;
  return `${s}s`;
}

export function clock(at: string | number | Date): string {
  const date = new Date(at);
  return [date.getHours(), date.getMinutes(), date.getSeconds()].map(pad).join(":");
}

/** With the day, when that is not today. */
export function moment(at: string, now: Date): string {
  const date = new Date(at);
  if (date.toDateString() === now.toDateString()) return clock(date);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(date)}`;
}

export function ago(at: string, now: Date): string {
  const seconds = (now.getTime() - new Date(at).getTime()) / 1000;
  return seconds < 5 ? "just now" : `${span(seconds < 60 ? seconds : Math.round(seconds / 60) * 60)} ago`;
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${count(n)} ${n === 1 ? one : many}`;
}

/** A verdict's sentence without the verdict's name: the badge says that. */
export function sentence(reason: string): string {
  const bare = reason.replace(/^(hold|roll back|inconclusive|complete|advance): /, "");
  return bare.charAt(0).toUpperCase() + bare.slice(1);
}

/** `rolledBack` → `rolled back`. */
export function spaced(camel: string): string {
  return camel.replace(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`);
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function pad(n: number): string {
  return String(n).padStart(2, "0");
}
