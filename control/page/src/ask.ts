// What an operator may ask of a service, as plain values for the dialog to carry out.

import { percent } from "./words";
import type { Freeze, Gate, Rollout, Service } from "./types";

export interface Ask {
  title: string;
  /** What will happen, and what will not. */
  what: string;
  verb: string;
  danger: boolean;
  method: "POST" | "PUT";
  path: string;
  revision: number | null;
  body: (reason: string, weight: number) => unknown;
  /** The candidate's weight in basis points to begin with, where one is asked for. */
  weight?: { now: number; candidate: string; stable: string };
  done: string;
}

export interface Choice {
  label: string;
  ask: Ask;
  primary: boolean;
}

const withReason = (reason: string) => ({ reason });

/** In the order in which they are shown: only what the service's state permits. */
export function choices(service: Service): Choice[] {
  const { rollout } = service;
  if (rollout && !over(rollout)) return underWay(service, rollout);
  return atRest(service, rollout);
}

export function over(rollout: Rollout): boolean {
  return ["rolledBack", "superseded", "complete"].includes(rollout.state);
}

function underWay(service: Service, rollout: Rollout): Choice[] {
  const stopped = rollout.state === "paused" || rollout.state === "inconclusive";
  const { to, from } = rollout;
  const command = (label: string, word: string, what: string, danger = false): Choice => ({
    label,
    primary: false,
    ask: {
      title: `${label} ${service.name}?`,
      what,
      verb: label,
      danger,
      method: "POST",
      path: `/v1/services/${service.name}/rollout/${word}`,
      revision: service.revision,
      body: withReason,
      done: `${service.name}: ${word} was carried out.`,
    },
  });
  const next = rollout.plan[rollout.step];
  const goesTo = next ? `${to} goes from ${percent(rollout.weight)} to ${percent(next.weight)}` : `${to} becomes stable`;
  const promote = command(
    "Promote",
    "promote",
    `${goesTo} now, past the rest of the hold, missing evidence and approvals. Guards still roll back.`,
  );
  // Whoever was faster has promoted this step, and not the one after it.
  promote.ask.body = (reason) => ({ reason, fromStep: rollout.step });
  const pause = command("Pause", "pause", `${to} stays at ${percent(rollout.weight)}. Guards still roll back.`);
  const resume = command("Resume", "resume", `The rollout goes on from ${percent(rollout.weight)}, by its plan.`);
  const abort = command(
    "Abort",
    "abort",
    `Everything goes back to ${from || service.stable} now; ${to} gets nothing more.`,
    true,
  );
  const gates = next?.gates.filter((gate) => !gate.granted) ?? [];
  const approve = command("Approve", "approve", `The step to ${percent(next?.weight ?? 10_000)} may pass: its hold and evidence are still waited for.`);
  // What was read is what is approved, and not the step after it.
  approve.ask.body = (reason) => ({ reason, before: next?.weight });
  const approvals = gates.filter((gate) => gate.kind === "approval").map((gate) => approving(approve, gate));
  const open = gates.flatMap((gate) => gate.items).filter((item) => item.by === null);
  const ticks = open.map(({ item }) => {
    const tick = command(`Tick “${item}”`, "checklist", `“${item}” is done. The step to ${percent(next?.weight ?? 10_000)} waits for it.`);
    tick.ask.title = `Is “${item}” done?`;
    tick.ask.verb = "It is done";
    tick.ask.body = (reason) => ({ reason, item });
    tick.ask.done = `${service.name}: “${item}” is ticked.`;
    return tick;
  });
  const first = approvals.length > 0 && !stopped;
  const go = stopped ? resume : promote;
  return [
    ...approvals,
    ...ticks,
    { ...go, primary: stopped || (rollout.waitingFor === "approval" && !first) },
    ...(stopped ? [promote] : [pause]),
    weights(service, rollout),
    ...superseding(service, rollout),
    abort,
  ];
}

/** The configuration names another candidate by now. */
function superseding(service: Service, rollout: Rollout): Choice[] {
  const { name, plan, revision } = service;
  if (!plan || (plan.to === rollout.to && plan.release === rollout.release) || plan.to === service.stable) return [];
  return [
    {
      label: `Supersede by ${plan.to}`,
      primary: false,
      ask: {
        title: `Begin with ${plan.to} instead of ${rollout.to}?`,
        what: `The ${percent(rollout.weight)} of ${rollout.to} go to ${service.stable} now, and nothing is held against it. ${plan.to} (${plan.release}) begins at its first step.`,
        verb: "Supersede",
        danger: true,
        method: "POST",
        path: `/v1/services/${name}/rollout`,
        revision,
        body: (reason) => ({ to: plan.to, reason, supersede: true }),
        done: `${name}: ${plan.to} takes the place of ${rollout.to}.`,
      },
    },
  ];
}

function approving(choice: Choice, gate: Gate): Choice {
  const others = gate.by.length > 0 ? ` ${gate.by.join(", ")} may.` : "";
  const several = gate.needed > 1 ? ` ${gate.given.length} of ${gate.needed} have approved.${others}` : others;
  return { ...choice, primary: true, ask: { ...choice.ask, what: choice.ask.what + several } };
}

function weights(service: Service, rollout: Rollout): Choice {
  return {
    label: "Weights",
    primary: false,
    ask: {
      title: `Set the weights of ${service.name}`,
      what: "The rollout pauses at the weight that you set. Guards still roll back.",
      verb: "Set weights",
      danger: false,
      method: "PUT",
      path: `/v1/services/${service.name}/weights`,
      revision: service.revision,
      body: (reason, weight) => ({
        weights: { [service.stable]: 10_000 - weight, [rollout.to]: weight },
        reason,
      }),
      weight: { now: rollout.weight, candidate: rollout.to, stable: service.stable },
      done: `${service.name}: the weights were set.`,
    },
  };
}

function atRest(service: Service, last: Rollout | null): Choice[] {
  const back = service.former === null ? [] : [undo(service, service.former)];
  return [...begins(service, last), ...back];
}

function undo(service: Service, former: string): Choice {
  const { name, stable } = service;
  return {
    label: "Undo",
    primary: false,
    ask: {
      title: `Take ${stable} of ${name} back?`,
      what: `Every request goes to ${former} again now. ${stable} is blamed and quarantined.`,
      verb: `Back to ${former}`,
      danger: true,
      method: "POST",
      path: `/v1/services/${name}/rollout/undo`,
      revision: service.revision,
      body: withReason,
      done: `${name}: ${former} is stable again.`,
    },
  };
}

function begins(service: Service, last: Rollout | null): Choice[] {
  const { plan } = service;
  if (!plan || plan.to === service.stable) return [];
  const rejected = service.versions.find((v) => v.name === plan.to)?.quarantined;
  const again = rejected !== null && rejected !== undefined;
  const tried = last?.state === "rolledBack" && last.to === plan.to && last.release === plan.release;
  const first = plan.steps[0];
  const retry = again || tried;
  return [
    {
      label: retry ? "Retry" : "Start rollout",
      primary: !retry,
      ask: {
        title: retry ? `Retry ${plan.to} of ${service.name}?` : `Start the rollout of ${plan.to}?`,
        what: `${retry ? "It begins anew, although it was rejected before. " : ""}${plan.to} (${plan.release}) begins at ${percent(first?.weight ?? 10_000)} beside stable ${service.stable}, in ${plan.steps.length} steps.`,
        verb: retry ? "Retry" : "Start rollout",
        danger: false,
        method: "POST",
        path: `/v1/services/${service.name}/rollout${retry ? "/retry" : ""}`,
        revision: service.revision,
        body: retry ? withReason : (reason) => ({ to: plan.to, reason }),
        done: `${service.name}: the rollout of ${plan.to} begins.`,
      },
    },
  ];
}

export function freezing(freeze: Freeze | null): Ask {
  return {
    title: freeze ? "Lift the freeze?" : "Freeze everything?",
    what: freeze
      ? "Rollouts start and advance again, by their plans."
      : "No rollout of any service starts or advances until the freeze is lifted. Guards still roll back.",
    verb: freeze ? "Lift the freeze" : "Freeze",
    danger: false,
    method: "PUT",
    path: "/v1/freeze",
    revision: null,
    body: (reason) => ({ frozen: freeze === null, reason }),
    done: freeze ? "The freeze is lifted." : "Everything is frozen.",
  };
}
