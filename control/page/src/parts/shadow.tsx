// What the shadow answered otherwise than stable did.

import { useJson, type Shadow } from "../use";
import { count, share } from "../words";

export function ShadowDifferences({ service, able }: { service: string; able: boolean }) {
  const shadow = useJson<Shadow>(`/v1/services/${service}/shadow`, 5_000, able);
  return (
    <section class="card" aria-labelledby="shadow-title">
      <h2 id="shadow-title">Shadow differences</h2>
      {shadow === null ? (
        <p class="note">Reading…</p>
      ) : shadow === "none" ? (
        <p class="note">No version gets copies of this service's requests. A <code>shadow</code> in the configuration sends them, and what it answers otherwise than stable appears here.</p>
      ) : (
        <Found shadow={shadow} />
      )}
    </section>
  );
}

function Found({ shadow }: { shadow: Shadow }) {
  const ratio = shadow.compared > 0 ? shadow.mismatched / shadow.compared : null;
  return (
    <>
      <p class="note">
        <b class="figures">{count(shadow.compared)}</b> compared, <b class="figures">{count(shadow.mismatched)}</b> different ({share(ratio)}), <b class="figures">{count(shadow.failed)}</b> failed.
      </p>
      {shadow.differences.length === 0 ? (
        <p class="note">{shadow.compared > 0 ? "Every answer was the same." : "Nothing was compared yet."}</p>
      ) : (
        <table class="numbers words">
          <thead>
            <tr>
              <th scope="col">Where</th>
              <th scope="col">Stable</th>
              <th scope="col">Shadow</th>
            </tr>
          </thead>
          <tbody>
            {shadow.differences.map((d, at) => (
              <tr key={at}>
                <th scope="row">
                  <code>{d.where}</code>
                </th>
                <td>{d.stable}</td>
                <td>{d.shadow}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
