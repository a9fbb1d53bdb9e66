// What the admin API says, as far as the page reads it. `/openapi.json` is the whole truth.

export interface Snapshot {
  generation: number;
  at: string;
  services: Service[];
  freeze: Freeze | null;
  config: Config;
  health: Health;
}

export interface Freeze {
  since: string;
  reason: string;
  by: string;
}

export interface Config {
  generation: number;
  hash: string;
  loadedAt: string;
  failed: { at: string; fault: string } | null;
}

export interface Health {
  journal: string | null;
  /** Services whose latest lowering is in force and not written yet. */
  notDurable: string[];
  freezeNotDurable: boolean;
  /** Why nothing that is measured now counts. */
  notObserving?: string | null;
  notificationsLost: number;
  recordsLost: number;
}

export type Weights = Record<string, number>;

export interface Service {
  name: string;
  revision: number;
  stable: string;
  weights: Weights;
  versions: Version[];
  slo: Slo;
  plan: Plan | null;
  queued: string | null;
  /** What `undo` makes stable again. */
  former: string | null;
  rollout: Rollout | null;
}

export interface Version {
  name: string;
  release: string;
  role: "stable" | "candidate" | "idle";
  ready: number;
  endpoints: number;
  requests: number;
  bad: number;
  excluded: number;
  inFlight: number;
  lastMinute: Figures;
  tripped: boolean;
  quarantined: string | null;
}

export interface Figures {
  requests: number;
  bad: number;
  requestsPerSecond: number;
  errorRatio: number | null;
  p50Ms: number | null;
  p95Ms: number | null;
  p99Ms: number | null;
}

export interface Slo {
  objective: number;
  latencyObjective: number | null;
  latencyUnderMs: number | null;
  windowSeconds: number;
  budgetRemaining: number | null;
  burnRates: Burn[];
  missed: Missed | null;
}

/** The objective that stable fails right now. */
export interface Missed {
  version: string;
  severity: string;
  message: string;
}

export interface Burn {
  name: string;
  version: string;
  above: number;
  longSeconds: number;
  shortSeconds: number;
  longRate: number | null;
  shortRate: number | null;
}

export interface Plan {
  to: string;
  release: string;
  strategy: string;
  steps: Step[];
}

export interface Step {
  weight: number;
  holdSeconds: number;
  of: "all" | "newSessions";
  gates: Gate[];
}

export interface Gate {
  kind: "approval" | "checklist" | "webhook" | "shadow";
  granted: boolean;
  /** How many people have to approve; 0 where it is no approval. */
  needed: number;
  given: string[];
  by: string[];
  items: { item: string; by: string | null }[];
}

export type State =
  | "pending"
  | "dark"
  | "running"
  | "holding"
  | "paused"
  | "inconclusive"
  | "rolledBack"
  | "superseded"
  | "complete";

export interface Rollout {
  id: string;
  from: string;
  to: string;
  release: string;
  strategy: string;
  state: State;
  step: number;
  steps: number;
  weight: number;
  reason: string;
  waitingFor: string | null;
  startedAt: string;
  startedBy: string;
  endedAt: string | null;
  holdSeconds: number;
  heldSeconds: number;
  stepRemainingSeconds: number;
  remainingSeconds: number;
  requestsNeeded: number | null;
  plan: Step[];
  guards: Guard[];
  objections: string[];
  proof: Proof;
  comparison: { candidate: Figures; stable: Figures };
  harm: Harm;
  failures: Failures | null;
}

/** How sure it is that the candidate is good enough to go on with. */
export interface Proof {
  requests: number;
  requestsNeeded: number;
  value: number | null;
  valueNeeded: number | null;
  /** Of the bet that it fails less than `harmLimit`, where the plan accepts it. */
  harmValue: number | null;
  harmLimit: number | null;
  shown: "proof" | "boundedHarm" | null;
  /** What is still needed. */
  outlook: string | null;
}

/** Where the candidate's latest failures came from. */
export interface Failures {
  concentrated: boolean;
  summary: string;
}

export interface Guard {
  name: string;
  kind: "errorRate" | "latency" | "signal" | "shadowMismatch" | "shadowErrors";
  quantile: number | null;
  signal: string | null;
  action: "rollback" | "pause" | "notify";
  overSeconds: number;
  forSeconds: number;
  threshold: number;
  observed: number | null;
  stable: number | null;
  seen: number;
  needed: number;
  breached: boolean;
  proven: boolean;
  shared: boolean;
}

export interface Harm {
  failedRequests: number;
  failedRequestsLimit: number | null;
  failedRequestsForgiven: number;
  users: number;
  usersLimit: number | null;
  usersForgiven: number;
  /** Where not, `users` are failed requests. */
  usersToldApart: boolean;
}

export interface History {
  service: string;
  at: string;
  stepSeconds: number;
  times: number[];
  versions: Column[];
}

export interface Column {
  name: string;
  weights: number[];
  requests: number[];
  bad: number[];
  p50Ms: (number | null)[];
  p95Ms: (number | null)[];
  p99Ms: (number | null)[];
}

export interface RolloutRecord {
  id: string;
  service: string;
  from: string;
  to: string;
  release: string;
  state: State;
  reason: string;
  startReason: string;
  startedBy: string;
  startedAt: string;
  endedAt: string | null;
  severity: string | null;
  reached: number;
  harm: Harm;
  timeline: Entry[];
}

export interface Entry {
  at: string;
  what: string;
  weight: number;
  actor: string | null;
  reason: string | null;
}

export interface Evidence {
  at: string;
  verdict: string;
  reason: string;
  rule: string;
  observed: number | null;
  threshold: number | null;
  stableObserved: number | null;
  samples: number;
  stableSamples: number;
  events: string[];
  badRequests: { requestId: string; what: string; at: string }[];
  evidence: { numbers?: unknown };
}

export interface Happened {
  id: number;
  at: string;
  kind: string;
  service: string | null;
  severity: string | null;
  message: string;
}

export interface Shadow {
  to: string;
  share: number;
  results: { same: number; different: number; answered: number; failed: number };
  dropped: Record<string, number>;
  inFlight: number;
  differences: Difference[];
  notKept: number;
  noise: { route: string; path: string }[];
  latency: { samples: number; stable: Quantiles; shadow: Quantiles } | null;
}

export interface Difference {
  route: string;
  path: string;
  count: number;
  first: string;
  last: string;
  samples: { at: string; requestId: string; request: string; stable: string; shadow: string }[];
}

export interface Quantiles {
  p50Ms: number;
  p95Ms: number;
  p99Ms: number;
}
