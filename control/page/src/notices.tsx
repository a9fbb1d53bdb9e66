// What concerns everything on the page, worst first.

import type { ComponentChildren } from "preact";
import type { Live } from "./live";
import type { Health } from "./types";
import { clock, moment, plural } from "./words";

interface Props {
  live: Live;
  done: string | null;
  dismiss: () => void;
  retry: () => void;
}

export function Notices({ live, done, dismiss, retry }: Props) {
  const { link, snapshot } = live;
  const now = new Date();
  return (
    <div class="notices">
      {link.is === "lost" && (
        <Notice tone="bad" alert>
          <span>
            <strong>Connection lost</strong>
            {snapshot ? `, showing data of ${clock(snapshot.at)}. ` : ". "}
            What Serin does now is not visible here. Trying again…
          </span>
          <button type="button" class="button small" onClick={retry}>
            Try now
          </button>
        </Notice>
      )}
      {link.is === "silent" && snapshot && (
        <Notice tone="bad" alert>
          <span>
            <strong>The controller is silent</strong> since {clock(snapshot.at)}: weights are frozen, and no guard rolls back.
          </span>
        </Notice>
      )}
      {snapshot?.health.journal && (
        <Notice tone="bad" alert>
          <span>
            <strong>The journal cannot be written</strong>: {snapshot.health.journal}. Weights can only go down.
          </span>
        </Notice>
      )}
      {snapshot && notDurable(snapshot.health) !== "" && (
        <Notice tone="warn">
          <span>
            <strong>Not durable yet</strong>: {notDurable(snapshot.health)}. It is in force; a crash now would bring back what was before.
          </span>
        </Notice>
      )}
      {snapshot?.health.notObserving && (
        <Notice tone="bad" alert>
          <span>
            <strong>Not observing</strong>: {snapshot.health.notObserving}.
          </span>
        </Notice>
      )}
      {snapshot?.freeze && (
        <Notice tone="cold">
          <span>
            <strong>Frozen</strong> by {snapshot.freeze.by} since {moment(snapshot.freeze.since, now)}: {snapshot.freeze.reason}
          </span>
        </Notice>
      )}
      {snapshot?.config.failed && (
        <Notice tone="warn">
          <span>
            <strong>The configuration was refused</strong> at {moment(snapshot.config.failed.at, now)}: {snapshot.config.failed.fault}. The one before it is in force.
          </span>
        </Notice>
      )}
      {snapshot && snapshot.health.notificationsLost > 0 && (
        <Notice tone="warn">
          <span>{plural(snapshot.health.notificationsLost, "notification")} could not be delivered since the start.</span>
        </Notice>
      )}
      {done && (
        <Notice tone="good">
          <span role="status">{done}</span>
          <button type="button" class="button small quiet" onClick={dismiss}>
            Dismiss
          </button>
        </Notice>
      )}
    </div>
  );
}

/** So many services are named. */
const NAMED = 5;

function notDurable({ notDurable: services, freezeNotDurable: freeze }: Health): string {
  const more = services.length - NAMED;
  const named = services.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${plural(more, "more service")}` : "");
  const parts = [services.length > 0 ? `what was lowered of ${named}` : "", freeze ? "the freeze" : ""];
  return parts.filter((part) => part !== "").join(", and ");
}

interface NoticeProps {
  tone: "bad" | "warn" | "good" | "cold";
  alert?: boolean;
  children: ComponentChildren;
}

function Notice({ tone, alert, children }: NoticeProps) {
  return (
    <div class={`notice ${tone}`} {...(alert ? { role: "alert" } : {})}>
      {children}
    </div>
  );
}
