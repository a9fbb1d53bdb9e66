// A service at rest: its versions, and how they fared in the last minute.

import type { Service } from "../types";
import { millis, rate, share } from "../words";

export function Versions({ service }: { service: Service }) {
  return (
    <section class="card" aria-labelledby="versions-title">
      <h2 id="versions-title">
        Versions <small>last minute</small>
      </h2>
      <div class="scroll" tabIndex={0} role="group" aria-label="Versions, scrolls sideways">
        <table class="numbers">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col">Ready</th>
              <th scope="col">Per second</th>
              <th scope="col">Errors</th>
              <th scope="col">p95</th>
            </tr>
          </thead>
          <tbody>
            {service.versions.map((version) => (
              <tr key={version.name}>
                <th scope="row">
                  {version.name} <small>{version.release === version.name ? version.role : `${version.release} · ${version.role}`}</small>
                </th>
                <td class={version.ready === 0 ? "hot" : ""}>{`${version.ready}/${version.endpoints}`}</td>
                <td>{rate(version.lastMinute.requestsPerSecond)}</td>
                <td>{share(version.lastMinute.errorRatio)}</td>
                <td>{millis(version.lastMinute.p95Ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}
