// Nothing is shown without a token, where one is asked for.

import { useState } from "preact/hooks";
import { keepToken, token } from "./api";
import { Mark } from "./parts/mark";

export function Locked({ why, retry }: { why: string; retry: () => void }) {
  const [secret, setSecret] = useState("");
  const tried = token() !== null;
  const open = (event: Event) => {
    event.preventDefault();
    if (secret.trim() === "") return;
    keepToken(secret.trim());
    retry();
  };
  return (
    <main class="locked">
      <form onSubmit={open}>
        <Mark size={40} />
        <h1>Serin asks for a token</h1>
        <p>A viewer's token shows everything; an operator's can also act. It is kept in this tab until you close it, and nowhere else.</p>
        <label class="field">
          <span>Token</span>
          <input type="password" autocomplete="off" spellcheck={false} autofocus value={secret} onInput={(e) => setSecret(e.currentTarget.value)} />
        </label>
        {tried && (
          <p class="fault" role="alert">
            {why.charAt(0).toUpperCase() + why.slice(1)}.
          </p>
        )}
        <button type="submit" class="button primary">
          Show me
        </button>
      </form>
    </main>
  );
}
