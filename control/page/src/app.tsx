// The frame: what is shown where, and what concerns all of it.

import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Dialog } from "./dialog";
import { Header } from "./header";
import { Stream, type Live } from "./live";
import { Locked } from "./locked";
import { Notices } from "./notices";
import { Overview } from "./overview";
import { ServicePage } from "./service";
import type { Ask } from "./ask";
import type { Happened, Snapshot } from "./types";

export function App() {
  const [live, setLive] = useState<Live>({ link: { is: "connecting" }, snapshot: null });
  const [news, setNews] = useState("");
  const [ask, setAsk] = useState<Ask | null>(null);
  const [done, setDone] = useState<string | null>(null);
  const place = usePlace();
  const stream = useMemo(
    () => new Stream(setLive, (event) => setNews((before) => told(event) ?? before)),
    [],
  );
  useEffect(() => stream.start(), [stream]);
  const closed = useCallback((message: string | null) => {
    setAsk(null);
    if (message !== null) setDone(message);
  }, []);
  useEffect(() => setDone(null), [place]);

  const { link, snapshot } = live;
  if (link.is === "locked") return <Locked why={link.why} retry={() => stream.start()} />;
  const able = link.is === "live";
  return (
    <>
      <a class="skip" href="#main" onClick={skip}>
        Skip to content
      </a>
      <Header live={live} ask={setAsk} able={able} />
      <Notices live={live} done={done} dismiss={() => setDone(null)} retry={() => stream.start()} />
      <main id="main" tabIndex={-1} class={able ? "" : "stale"}>
        {snapshot ? (
          <Room place={place} snapshot={snapshot} ask={setAsk} able={able} />
        ) : (
          <p class="waiting">Connecting to Serin…</p>
        )}
      </main>
      <p class="unseen" role="status" aria-live="polite">
        {news}
      </p>
      {ask && <Dialog ask={ask} closed={closed} />}
    </>
  );
}

interface RoomProps {
  place: string | null;
  snapshot: Snapshot;
  ask: (ask: Ask) => void;
  able: boolean;
}

function Room({ place, snapshot, ask, able }: RoomProps) {
  const service = snapshot.services.find((s) => s.name === place);
  const heading = useRef<string | null>(null);
  useEffect(() => {
    document.title = place ? `${place} · Serin` : "Serin";
    // Whoever came by a link in the page hears where they are; the first view takes no focus.
    if (heading.current !== null && heading.current !== (place ?? "")) {
      window.scrollTo(0, 0);
      document.querySelector<HTMLElement>("main h1")?.focus();
    }
    heading.current = place ?? "";
  }, [place]);
  if (place === null) return <Overview snapshot={snapshot} />;
  if (!service) {
    return (
      <section class="empty">
        <h1 tabIndex={-1}>There is no service {place}</h1>
        <p>
          The configuration in force does not name it. <a href="#/">All services</a>
        </p>
      </section>
    );
  }
  return <ServicePage key={place} service={service} snapshot={snapshot} ask={ask} able={able} />;
}

/** `#/checkout` is the service checkout, anything else the overview. */
function usePlace(): string | null {
  const [place, setPlace] = useState(placeOf(location.hash));
  useEffect(() => {
    const moved = () => setPlace(placeOf(location.hash));
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  return place;
}

function placeOf(hash: string): string | null {
  const found = /^#\/(.+)$/.exec(hash);
  return found?.[1] ? decodeURIComponent(found[1]) : null;
}

/** The fragment is the page's address, so a jump within it must not change it. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** What is read out; a change in what a rollout waits for is not worth an interruption. */
function told(event: Happened): string | null {
  if (event.kind === "waiting") return null;
  return event.service ? `${event.service}: ${event.message}` : event.message;
}
