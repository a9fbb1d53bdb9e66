// The plan as a row of steps: done, present with its time left, to come.

import { over } from "../ask";
import type { Rollout, Step } from "../types";
import { percent, span } from "../words";

export function Steps({ rollout }: { rollout: Rollout }) {
  const ended = over(rollout);
  const left = rollout.remainingSeconds;
  return (
    <div class="steps-box">
      <h3>
        Steps{" "}
        {!ended && (
          <small class="figures">
            {left > 0 ? `at least ${span(left)} to go` : "no hold left"}
          </small>
        )}
      </h3>
      <ol class="steps">
        {rollout.plan.map((step, at) => (
          <OneStep key={at} step={step} rollout={rollout} number={at + 1} ended={ended} />
        ))}
      </ol>
    </div>
  );
}

interface OneProps {
  step: Step;
  rollout: Rollout;
  number: number;
  ended: boolean;
}

function OneStep({ step, rollout, number, ended }: OneProps) {
  const present = number === rollout.step && !ended;
  const done = number < rollout.step || rollout.state === "complete";
  const stopped = ended && !done && number === rollout.step;
  const held = step.holdSeconds > 0 ? Math.min(1, rollout.heldSeconds / step.holdSeconds) : 1;
  const kind = stopped ? "stopped" : done ? "done" : present ? "present" : "future";
  return (
    <li class={kind} aria-current={present ? "step" : undefined}>
      <span class="track" aria-hidden="true">
        <i style={{ width: `${done ? 100 : present ? held * 100 : stopped ? held * 100 : 0}%` }} />
      </span>
      <span class="step-words">
        <b class="figures">{percent(step.weight)}</b>
        <span class="figures">
          {present && rollout.stepRemainingSeconds > 0
            ? `${span(rollout.stepRemainingSeconds)} left of ${span(step.holdSeconds)}`
            : present
              ? `hold is over, watched for ${span(rollout.heldSeconds)}`
              : stopped
                ? "ended here"
                : step.holdSeconds > 0
                  ? `hold ${span(step.holdSeconds)}`
                  : "no hold"}
        </span>
        <span class="unseen">{done ? ", done" : present ? ", now" : ""}</span>
        {step.of === "newSessions" && <span class="tag">new sessions</span>}
        {step.gates.map((gate) => (
          <span key={gate.kind} class={gate.granted ? "tag granted" : "tag"}>
            {gate.kind}
            {gate.granted ? " granted" : ""}
          </span>
        ))}
      </span>
    </li>
  );
}
