// What the service's page reads beside the stream: its course, its past, its shadow.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, read } from "./api";
import type { Column, Evidence, History, Rollout, RolloutRecord } from "./types";

/** Grows by what is new; begins anew with another service or period. */
export function useHistory(service: string, seconds: number, beat: string, able: boolean): History | null {
  const [history, setHistory] = useState<History | null>(null);
  const kept = useRef<{ of: string; history: History; at: number } | null>(null);
  const asking = useRef(false);
  useEffect(() => {
    const of = `${service} ${seconds}`;
    const known = kept.current?.of === of ? kept.current : null;
    if (!known) setHistory(null);
    if (!able || asking.current) return;
    if (known && Date.now() - known.at < known.history.stepSeconds * 900) return;
    asking.current = true;
    const last = known?.history.times.at(-1);
    const after = last === undefined ? "" : `&after=${last}`;
    read<History>(`/v1/services/${service}/history?seconds=${seconds}${after}`)
      .then((fresh) => {
        const whole = known ? joined(known.history, fresh, seconds) : fresh;
        kept.current = { of, history: whole, at: Date.now() };
        setHistory(whole);
      })
      .catch(ignored)
      .finally(() => (asking.current = false));
  }, [service, seconds, beat, able]);
  return history;
}

/** Two stretches of one course, of which the older end is let go. */
export function joined(old: History, fresh: History, seconds: number): History {
  const times = [...old.times, ...fresh.times];
  const from = (times.at(-1) ?? 0) - seconds;
  const cut = Math.max(0, times.findIndex((t) => t > from));
  const names = [...new Set([...old.versions, ...fresh.versions].map((v) => v.name))];
  const versions = names.map((name) => {
    const [a, b] = [columnOf(old, name), columnOf(fresh, name)];
    const join = <T,>(left: T[], right: T[]): T[] => [...left, ...right].slice(cut);
    return {
      name,
      weights: join(a.weights, b.weights),
      requests: join(a.requests, b.requests),
      bad: join(a.bad, b.bad),
      p50Ms: join(a.p50Ms, b.p50Ms),
      p95Ms: join(a.p95Ms, b.p95Ms),
      p99Ms: join(a.p99Ms, b.p99Ms),
    };
  });
  return { ...fresh, times: times.slice(cut), versions };
}

export function columnOf(history: History, name: string): Column {
  const found = history.versions.find((v) => v.name === name);
  if (found) return found;
  const none = <T,>(value: T): T[] => history.times.map(() => value);
  return { name, weights: none(0), requests: none(0), bad: none(0), p50Ms: none(null), p95Ms: none(null), p99Ms: none(null) };
}

export interface Past {
  record: RolloutRecord;
  evidence: Evidence[];
  earlier: RolloutRecord[];
}

/** Read again whenever the service's revision says that something was decided. */
export function usePast(service: string, rollout: Rollout | null, revision: number, able: boolean): Past | "none" | null {
  const [past, setPast] = useState<Past | "none" | null>(null);
  const id = rollout?.id ?? null;
  useEffect(() => {
    if (!able) return;
    let current = true;
    const load = async (): Promise<Past | "none"> => {
      const all = await read<{ rollouts: RolloutRecord[] }>(`/v1/rollouts?service=${service}&limit=20`);
      const record = all.rollouts.find((r) => r.id === id) ?? all.rollouts[0];
      if (!record) return "none";
      const { evidence } = await read<{ evidence: Evidence[] }>(`/v1/rollouts/${record.id}/evidence`);
      return { record, evidence, earlier: all.rollouts.filter((r) => r.id !== record.id) };
    };
    load()
      .then((found) => current && setPast(found))
      .catch(ignored);
    return () => {
      current = false;
    };
  }, [service, id, revision, rollout?.state, able]);
  return past;
}

/** Every few seconds; `"none"` where the service has no shadow. */
export function useJson<T>(path: string, every: number, able: boolean): T | "none" | null {
  const [found, setFound] = useState<T | "none" | null>(null);
  useEffect(() => {
    if (!able) return;
    let current = true;
    const load = () =>
      read<T>(path)
        .then((value) => current && setFound(value))
        .catch((fault: unknown) => {
          if (current && fault instanceof Refused && fault.status === 404) setFound("none");
          else ignored(fault);
        });
    void load();
    const timer = setInterval(load, every);
    return () => {
      current = false;
      clearInterval(timer);
    };
  }, [path, every, able]);
  return found;
}

/** A lost connection is told by the stream, and the next beat asks again. */
function ignored(fault: unknown): void {
  if (!(fault instanceof Refused)) throw fault;
}
