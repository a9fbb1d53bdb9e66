// The bar at the top: where one is, whether this is the present, and the freeze.

import { freezing, type Ask } from "./ask";
import { keepToken, token } from "./api";
import type { Live } from "./live";
import { Mark } from "./parts/mark";
import { clock } from "./words";

interface Props {
  live: Live;
  ask: (ask: Ask) => void;
  able: boolean;
}

export function Header({ live, ask, able }: Props) {
  const { snapshot } = live;
  return (
    <header class="top">
      <a class="brand" href="#/" aria-label="Serin, all services">
        <Mark size={26} />
        <span>Serin</span>
      </a>
      <LinkState live={live} />
      <div class="row">
        {token() !== null && (
          <button type="button" class="button quiet wide" onClick={forget}>
            Forget token
          </button>
        )}
        {snapshot && (
          <button type="button" class="button" aria-disabled={!able} onClick={() => able && ask(freezing(snapshot.freeze))}>
            {snapshot.freeze ? "Lift freeze" : "Freeze"}
          </button>
        )}
      </div>
    </header>
  );
}

function forget(): void {
  keepToken(null);
  location.reload();
}

function LinkState({ live }: { live: Live }) {
  const { link, snapshot } = live;
  const time = snapshot ? clock(snapshot.at) : "";
  const [tone, text] =
    link.is === "live"
      ? ["good", `Live ${time}`]
      : link.is === "connecting"
        ? ["calm", "Connecting"]
        : link.is === "silent"
          ? ["bad", `Controller silent ${time}`]
          : ["bad", time ? `Data of ${time}` : "No connection"];
  return (
    <span class={`link-state ${tone}`}>
      <i class="dot" aria-hidden="true" />
      <span class="figures">{text}</span>
    </span>
  );
}
