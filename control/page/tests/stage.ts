// The real binary with backends, traffic and tokens, for the page to look at.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

export const VIEWER = "a-token-for-looking";
export const OPERATOR = "a-token-for-acting";
const BINARY = resolve(process.env["SERIN"] ?? "../../target/debug/serin");

/** How a version behaves: milliseconds of work, and every how many requests fail. */
interface Version {
  work: number;
  failsEvery: number;
  answer?: unknown;
}

const VERSIONS: Record<string, Version> = {
  "checkout-v41": { work: 14, failsEvery: 700, answer: { total: "42.00", currency: "EUR", items: 3 } },
  "checkout-v42": { work: 11, failsEvery: 900, answer: { total: "42.0", currency: "EUR", items: 3 } },
  "search-v7": { work: 9, failsEvery: 0 },
  "search-v8": { work: 9, failsEvery: 4 },
  "catalogue-green": { work: 6, failsEvery: 0 },
  "catalogue-blue": { work: 7, failsEvery: 0 },
  "account-v3": { work: 5, failsEvery: 0 },
};

/** Requests a second. */
const TRAFFIC = { checkout: 120, search: 60, catalogue: 40, account: 15 };

export class Stage {
  private readonly folder = mkdtempSync(join(tmpdir(), "serin-page-"));
  private readonly backends: http.Server[] = [];
  private readonly timers: NodeJS.Timeout[] = [];
  private readonly agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  private serin: ChildProcess | null = null;
  private log = "";
  private ports = { http: 0, admin: 0 };

  get url(): string {
    return `http://127.0.0.1:${this.ports.admin}/`;
  }

  async build(): Promise<void> {
    const addresses: Record<string, string> = {};
    for (const [name, version] of Object.entries(VERSIONS)) addresses[name] = await this.backend(version);
    this.ports = { http: await free(), admin: await free() };
    writeFileSync(join(this.folder, "viewer"), VIEWER);
    writeFileSync(join(this.folder, "operator"), OPERATOR);
    writeFileSync(join(this.folder, "serin.yaml"), configuration(this.ports, addresses));
    await this.start();
    for (const [service, perSecond] of Object.entries(TRAFFIC)) {
      this.timers.push(setInterval(() => this.visit(service), 1000 / perSecond));
    }
  }

  async start(): Promise<void> {
    const serin = spawn(BINARY, ["run", "--config", join(this.folder, "serin.yaml")], { cwd: this.folder });
    serin.stderr.on("data", (text: Buffer) => (this.log += text.toString()));
    serin.stdout.resume();
    this.serin = serin;
    for (let tries = 0; tries < 300; tries++) {
      if (await this.ready()) return;
      if (serin.exitCode !== null) break;
      await new Promise((wait) => setTimeout(wait, 100));
    }
    throw new Error(`serin does not get ready:\n${this.log}`);
  }

  /** As a crash does. */
  async kill(): Promise<void> {
    const { serin } = this;
    this.serin = null;
    if (!serin || serin.exitCode !== null) return;
    const gone = new Promise((done) => serin.once("exit", done));
    serin.kill("SIGKILL");
    await gone;
  }

  /** It stays there and says nothing: a stall, or a network that swallows everything. */
  stall(on: boolean): void {
    this.serin?.kill(on ? "SIGSTOP" : "SIGCONT");
  }

  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: { authorization: `Bearer ${OPERATOR}`, "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async strike(): Promise<void> {
    this.timers.forEach(clearInterval);
    await this.kill();
    this.agent.destroy();
    for (const backend of this.backends) {
      backend.closeAllConnections();
      backend.close();
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async ready(): Promise<boolean> {
    return fetch(new URL("/readyz", this.url)).then(
      (r) => r.ok,
      () => false,
    );
  }

  private visit(service: string): void {
    const options = { port: this.ports.http, path: `/${service}`, agent: this.agent };
    // A request that fails is what some tests are about.
    http.get(options, (response) => response.resume()).on("error", () => {});
  }

  private backend({ work, failsEvery, answer }: Version): Promise<string> {
    let served = 0;
    const server = http.createServer((request, response) => {
      const bad = request.url !== "/readyz" && failsEvery > 0 && ++served % failsEvery === 0;
      const spread = work * (0.6 + Math.random() ** 4 * 3);
      setTimeout(() => response.writeHead(bad ? 500 : 200, { "content-type": "application/json" }).end(JSON.stringify(answer ?? "ok")), spread);
    });
    this.backends.push(server);
    return new Promise((done) => {
      server.listen(0, "127.0.0.1", () => done(`127.0.0.1:${(server.address() as AddressInfo).port}`));
    });
  }
}

/** A port that was free a moment ago: a Serin that comes back must have the same. */
function free(): Promise<number> {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => done(port));
    });
  });
}

function configuration(ports: { http: number; admin: number }, at: Record<string, string>): string {
  const routes = Object.keys(TRAFFIC).map(
    (name) => `  - { name: ${name}, matches: [ { path: { prefix: /${name} } } ], service: ${name} }`,
  );
  return `version: 1
listeners:
  - { name: http, address: "127.0.0.1:${ports.http}", protocol: HTTP }
admin:
  address: "127.0.0.1:${ports.admin}"
  tokens:
    - { role: viewer, tokenFile: viewer }
    - { role: operator, tokenFile: operator }
state: { dir: state }
accessLog: { format: off }
services:
  checkout:
    stable: v41
    versions:
      v41: { release: "2026.11.02", endpoints: ["${at["checkout-v41"]}"] }
      v42: { release: "2026.11.20", endpoints: ["${at["checkout-v42"]}"] }
    session: { by: cookie }
    shadow: { to: v42, percent: 20%, compare: { status: true, body: json } }
    slo:
      availability: { objective: 99% }
      latency: { objective: 90%, under: 250ms }
    rollout:
      to: v42
      steps:
        - { weight: 5%, hold: 5s }
        - { weight: 25%, hold: 5m }
        - { weight: 50%, hold: 30m }
        - { weight: 100%, hold: 60m }
      evidence: { minRequests: 20 }
      regression: { errors: 5, latency: 500% }
      guards:
        - { name: errors, errorRate: "> 2%", over: 30s, action: rollback }
        - { name: slow, latency: { p95: "> 400ms" }, over: 1m, for: 1m, action: rollback }
        - { name: diffs, shadowMismatch: "> 0.5%", action: notify }
      harm: { failedRequests: 500, users: 300 }
      gates:
        - { before: "50%", approval: true }
  search:
    stable: v7
    versions:
      v7: { endpoints: ["${at["search-v7"]}"] }
      v8: { endpoints: ["${at["search-v8"]}"] }
    slo: { availability: { objective: 99% } }
    rollout:
      to: v8
      steps: [ { weight: 20%, hold: 1m }, { weight: 100%, hold: 10m } ]
      guards: [ { name: errors, errorRate: "> 5%", over: 30s, action: rollback } ]
  catalogue:
    stable: green
    versions:
      green: { release: "3.4.1", endpoints: ["${at["catalogue-green"]}"] }
      blue: { release: "3.5.0", endpoints: ["${at["catalogue-blue"]}"] }
    session: { by: cookie }
    rollout:
      to: blue
      steps: [ { weight: 30%, hold: 10m, of: newSessions }, { weight: 100%, hold: 30m } ]
  account:
    stable: v3
    versions:
      v3: { endpoints: ["${at["account-v3"]}"] }
routes:
${routes.join("\n")}
`;
}
