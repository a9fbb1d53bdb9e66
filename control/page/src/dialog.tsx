// One command: what it does, whose it is, why, and the button that does it.

import { useEffect, useRef, useState } from "preact/hooks";
import type { Ask } from "./ask";
import { Refused, change, keepToken, token } from "./api";
import { percent } from "./words";

interface Props {
  ask: Ask;
  closed: (done: string | null) => void;
}

export function Dialog({ ask, closed }: Props) {
  const frame = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState("");
  const [secret, setSecret] = useState("");
  const [other, setOther] = useState(false);
  const [weight, setWeight] = useState(ask.weight?.now ?? 0);
  const [fault, setFault] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const kept = token() !== null && !other;
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    frame.current?.showModal();
    return () => before?.focus();
  }, []);

  const carryOut = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    if (reason.trim() === "") {
      setFault("Give a reason: it stands in the journal, the report and the notifications.");
      document.getElementById("reason")?.focus();
      return;
    }
    setBusy(true);
    setFault(null);
    const given = secret.trim() || null;
    try {
      const body = ask.body(reason.trim(), weight);
      const answer = await change<{ message?: string }>(ask.method, ask.path, body, ask.revision, given);
      if (given) keepToken(given);
      closed(answer.message ? `${ask.done} ${sentence(answer.message)}` : ask.done);
    } catch (thrown) {
      setBusy(false);
      if (!(thrown instanceof Refused)) throw thrown;
      setFault(said(thrown));
      if (thrown.status === 401 || thrown.status === 403) setOther(true);
    }
  };

  return (
    <dialog ref={frame} class="dialog" aria-labelledby="dialog-title" aria-describedby="dialog-what" onClose={() => closed(null)}>
      <form noValidate onSubmit={(event) => void carryOut(event)}>
        <h2 id="dialog-title">{ask.title}</h2>
        <p id="dialog-what">{ask.what}</p>
        {ask.weight && <WeightField weight={weight} set={setWeight} of={ask.weight} />}
        <label class="field">
          <span>Reason</span>
          <textarea id="reason" rows={2} maxLength={1000} required aria-invalid={fault !== null && reason.trim() === ""} value={reason} onInput={(e) => setReason(e.currentTarget.value)} />
        </label>
        {kept ? (
          <p class="note">
            Your token is kept in this tab.{" "}
            <button type="button" class="link" onClick={() => setOther(true)}>
              Use another
            </button>
          </p>
        ) : (
          <TokenField value={secret} set={setSecret} />
        )}
        {fault && (
          <p class="fault" role="alert">
            {fault}
          </p>
        )}
        <div class="row end">
          <button type="button" class="button" onClick={() => frame.current?.close()}>
            Cancel
          </button>
          <button type="submit" class={`button ${ask.danger ? "danger" : "primary"}`} aria-disabled={busy}>
            {busy ? "Asking Serin…" : ask.verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function TokenField({ value, set }: { value: string; set: (value: string) => void }) {
  return (
    <label class="field">
      <span>
        Operator token <small>not needed where none is configured</small>
      </span>
      <input type="password" autocomplete="off" spellcheck={false} value={value} onInput={(e) => set(e.currentTarget.value)} />
    </label>
  );
}

interface WeightProps {
  weight: number;
  set: (weight: number) => void;
  of: NonNullable<Ask["weight"]>;
}

function WeightField({ weight, set, of }: WeightProps) {
  const put = (value: number) => set(Math.min(10_000, Math.max(0, Math.round(value * 100))));
  return (
    <fieldset class="weights">
      <legend>
        Weight of {of.candidate} <small>now {percent(of.now)}</small>
      </legend>
      <div class="row">
        <input type="range" min={0} max={100} step={1} aria-label={`Weight of ${of.candidate} in percent`} value={weight / 100} onInput={(e) => put(Number(e.currentTarget.value))} />
        <input type="number" min={0} max={100} step={0.01} aria-label={`Weight of ${of.candidate} in percent, exactly`} value={weight / 100} onInput={(e) => put(Number(e.currentTarget.value))} />
        <span aria-hidden="true">%</span>
      </div>
      <p class="note">
        {of.stable} keeps {percent(10_000 - weight)}.
      </p>
    </fieldset>
  );
}

function said(fault: Refused): string {
  if (fault.status === 412) return "Something has changed since you opened this. Close it, look again, and decide anew.";
  if (fault.status === 0) return "Serin does not answer. Whether it was carried out is seen once the connection is back.";
  return sentence(fault.message);
}

function sentence(text: string): string {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}
