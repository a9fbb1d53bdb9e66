// The one stream that the page lives on: events, and the state of everything once a second.
//
// It is read with fetch, because EventSource cannot send a token. Serin says something every
// second, so four seconds of silence are a lost connection; what was shown stays, marked with its
// time, and the stream is begun again after the last event seen, so that nothing is missed.

import { Refused, send } from "./api";
import { Frames } from "./sse";
import type { Happened, Snapshot } from "./types";

export type Link =
  | { is: "connecting" }
  | { is: "live" }
  | { is: "lost"; since: number }
  /** Serin answers, and its controller does not: weights are frozen. */
  | { is: "silent"; since: number }
  | { is: "locked"; why: string };

export interface Live {
  link: Link;
  snapshot: Snapshot | null;
}

const SILENCE = 4_000;
const SLOWEST = 5_000;
/** A snapshot that does not change for so long is no present any more. */
const STALE = 3_000;

export class Stream {
  private now: Live = { link: { is: "connecting" }, snapshot: null };
  private last: string | null = null;
  private attempt: AbortController | null = null;
  private running = false;
  private fresh = { at: "", seen: 0 };
  private wake: (() => void) | null = null;

  constructor(
    private readonly changed: (live: Live) => void,
    private readonly happened: (event: Happened) => void,
  ) {}

  /** Begins, or begins again at once: after a token was given, or on somebody's wish. */
  start(): void {
    this.attempt?.abort();
    this.wake?.();
    if (!this.running) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    for (let pause = 250; ; pause = Math.min(pause * 2, SLOWEST)) {
      const began = Date.now();
      try {
        await this.listen();
      } catch (fault) {
        if (fault instanceof Refused && (fault.status === 401 || fault.status === 403)) {
          this.show({ is: "locked", why: fault.message });
          break;
        }
      }
      const link = this.now.link;
      if (link.is !== "lost") this.show({ is: "lost", since: Date.now() });
      if (Date.now() - began > SLOWEST) pause = 250;
      await this.sleep(pause);
    }
    this.running = false;
  }

  private async listen(): Promise<void> {
    const attempt = new AbortController();
    this.attempt = attempt;
    let timer = setTimeout(() => attempt.abort(), SILENCE);
    try {
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (this.last !== null) headers["last-event-id"] = this.last;
      const response = await send("/v1/events?snapshots=true", { headers, signal: attempt.signal });
      const body = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      const frames = new Frames();
      for (;;) {
        const chunk = await body?.read();
        if (!chunk || chunk.done) return;
        clearTimeout(timer);
        timer = setTimeout(() => attempt.abort(), SILENCE);
        for (const frame of frames.take(chunk.value)) this.heed(frame.event, frame.id, frame.data);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  private heed(event: string, id: string | null, data: string): void {
    if (id !== null) this.last = id;
    if (event !== "snapshot") {
      this.happened(JSON.parse(data) as Happened);
      return;
    }
    const snapshot = JSON.parse(data) as Snapshot;
    const now = Date.now();
    if (snapshot.at !== this.fresh.at) this.fresh = { at: snapshot.at, seen: now };
    this.now = { ...this.now, snapshot };
    const silent = now - this.fresh.seen > STALE;
    this.show(silent ? { is: "silent", since: this.fresh.seen } : { is: "live" });
  }

  private show(link: Link): void {
    this.now = { ...this.now, link };
    this.changed(this.now);
  }

  private sleep(millis: number): Promise<void> {
    return new Promise((done) => {
      const timer = setTimeout(done, millis);
      this.wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
}
