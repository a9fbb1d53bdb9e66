// What an operator does at the page, in a real browser, against the real binary.

import { expect, test, type Locator, type Page } from "@playwright/test";
import { pictures, sound } from "./look";
import { OPERATOR, Stage, VIEWER } from "./stage";

const stage = new Stage();

test.describe.configure({ mode: "serial" });
test.beforeAll(() => stage.build());
test.afterAll(() => stage.strike());

/** Every page is watched: it may load nothing from elsewhere, and break none of its own rules. */
let faults: string[] = [];
test.beforeEach(({ page }) => {
  faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    if (message.type() === "error" && !/^Failed to load resource/.test(text)) faults.push(text);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(stage.url)) faults.push(`asked for ${request.url()}`);
  });
});
test.afterEach(() => expect(faults).toEqual([]));

test("without a token nothing is shown, and a wrong one is refused", async ({ page }) => {
  await page.goto(stage.url);
  await expect(page.getByRole("heading", { name: "Serin asks for a token" })).toBeVisible();
  await expect(page.getByText("checkout")).toHaveCount(0);
  await sound(page);
  await pictures(page, "token");
  await page.getByLabel("Token").fill("guessed");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toContainText("not one of those configured");
  await page.getByLabel("Token").fill(VIEWER);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Services" })).toBeVisible();
  const kept = await page.evaluate(() => [Object.values(sessionStorage), localStorage.length, document.cookie]);
  expect(kept).toEqual([[VIEWER], 0, ""]);
});

test("a service that never had a rollout says so, and what is planned", async ({ page }) => {
  await open(page, "catalogue", VIEWER);
  await expect(page.getByText("The configuration plans blue (3.5.0)")).toBeVisible();
  await expect(page.getByText("Nothing was decided yet.")).toBeVisible();
  await expect(page.getByText("No version gets copies")).toBeVisible();
  await sound(page);
  await page.goto(`${stage.url}#/nowhere`);
  await expect(page.getByRole("heading", { name: "There is no service nowhere" })).toBeVisible();
});

test("a viewer is told what an operator's token is for, and a rollout starts with one", async ({ page }) => {
  await open(page, "checkout", VIEWER);
  await page.getByRole("button", { name: "Start rollout" }).click();
  const dialog = page.getByRole("dialog");
  await confirm(dialog, "Start rollout");
  await expect(dialog.getByRole("alert")).toContainText("Give a reason");
  await dialog.getByLabel("Reason").fill("the new basket");
  await confirm(dialog, "Start rollout");
  await expect(dialog.getByRole("alert")).toContainText("needs an operator's token");
  await dialog.getByLabel("Operator token").fill(OPERATOR);
  await confirm(dialog, "Start rollout");
  await expect(dialog).toBeHidden();
  await expect(badge(page)).toHaveText(/running|holding/);
  await expect(decisions(page)).toContainText("weight raised from 0% to 5%");
  await expect(decisions(page)).toContainText("the new basket");
  const { rollouts } = (await stage.call("GET", "/v1/rollouts?service=checkout")) as { rollouts: { startReason: string; startedBy: string }[] };
  expect(rollouts[0]).toMatchObject({ startReason: "the new basket", startedBy: "operator" });
});

test("a bad candidate is seen to go back, with the requests that proved it", async ({ page }) => {
  await open(page, "search", OPERATOR);
  await ask(page, "Start rollout", "v8 is ready");
  await expect(badge(page)).toHaveText("rolled back");
  await expect(page.locator(".verdict.bad")).toContainText("v8 was rolled back");
  const decision = page.locator(".timeline li.bad");
  await expect(decision).toHaveCount(1);
  await decision.locator("summary").first().click();
  await expect(decision.locator(".requests li").first()).toContainText("500");
  await expect(page.getByRole("button", { name: "Retry" })).toBeVisible();
  await sound(page);
});

test("weights are set by hand, which pauses, and a pause is resumed", async ({ page }) => {
  await open(page, "catalogue", OPERATOR);
  await ask(page, "Start rollout", "a new look");
  await expect(decisions(page)).toContainText("weight raised from 0% to 30%");
  await expect(split(page)).toContainText("30%");
  await page.getByRole("button", { name: "Weights" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("exactly").fill("12.5");
  await expect(dialog).toContainText("green keeps 87.5%");
  await dialog.getByLabel("Reason").fill("gently");
  await confirm(dialog, "Set weights");
  await expect(dialog).toBeHidden();
  await expect(badge(page)).toHaveText("paused");
  await expect(split(page)).toContainText("12.5%");
  await ask(page, "Resume", "it looks well");
  await expect(badge(page)).not.toHaveText("paused");
  await ask(page, "Pause", "lunch");
  await expect(badge(page)).toHaveText("paused");
});

test("the next step is promoted, and the charts have points", async ({ page }) => {
  await open(page, "checkout", OPERATOR);
  await expect(page.getByRole("img", { name: /^Error rate: now v42/ })).toBeVisible();
  await expect(split(page)).toContainText(/v42 (5|25)%/);
  if ((await weight("checkout", "v42")) < 2500) {
    const promoted = page.waitForRequest("**/rollout/promote");
    await ask(page, "Promote", "long enough");
    const shown = (await promoted).postDataJSON() as { fromStep: number };
    expect(shown.fromStep).toBeGreaterThan(0);
  }
  await expect(decisions(page)).toContainText("weight raised from 5% to 25%");
  const shadow = page.getByRole("region", { name: "Shadow differences" });
  await shadow.getByText("Samples of $.total").click();
  await expect(shadow).toContainText("42.00");
  await page.getByRole("button", { name: "24 h" }).click();
  await expect(page.getByRole("button", { name: "24 h" })).toHaveAttribute("aria-pressed", "true");
});

test("somebody else's change in between refuses a command", async ({ page }) => {
  await open(page, "catalogue", OPERATOR);
  await page.getByRole("button", { name: "Resume" }).click();
  await stage.call("POST", "/v1/services/catalogue/rollout/resume", { reason: "I was first" });
  await stage.call("POST", "/v1/services/catalogue/rollout/pause", { reason: "wait for the campaign to end" });
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill("me too");
  await confirm(dialog, "Resume");
  await expect(dialog.getByRole("alert")).toContainText("Something has changed");
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
});

test("everything can be reached by keyboard, and focus goes where one is", async ({ page }) => {
  await open(page, null, OPERATOR);
  await page.getByRole("link", { name: "checkout" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "checkout" })).toBeFocused();
  const pause = page.getByRole("button", { name: "Pause" });
  await pause.focus();
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toBeVisible();
  await sound(page);
  await pictures(page, "dialog", { whole: false });
  await page.keyboard.press("Escape");
  await expect(pause).toBeFocused();
});

test("the main states look as they should and pass an audit", async ({ page }) => {
  await open(page, null, OPERATOR);
  await expect(page.getByText("4 services · 2 rollouts under way")).toBeVisible();
  await sound(page);
  await pictures(page, "overview");
  for (const [service, name] of [["checkout", "rollout"], ["search", "rolled-back"]] as const) {
    await visit(page, service);
    await expect(page.locator(".plot canvas").first()).toBeVisible();
    if (service === "search") await page.locator(".timeline li.bad summary").first().click();
    await sound(page);
    await pictures(page, name);
  }
});

test("a lost connection is said, with the time of what is shown, and regained", async ({ page }) => {
  await open(page, "checkout", OPERATOR);
  await stage.kill();
  const lost = page.getByRole("alert").filter({ hasText: "Connection lost" });
  await expect(lost).toContainText(/Connection lost, showing data of \d\d:\d\d:\d\d/);
  await expect(page.getByRole("button", { name: "Abort" })).toHaveAttribute("aria-disabled", "true");
  await expect(split(page)).toContainText("25%");
  await sound(page);
  await pictures(page, "connection-lost", { whole: false });
  await stage.start();
  await expect(lost).toHaveCount(0);
  await expect(page.locator(".link-state")).toContainText("Live");
  await expect(badge(page)).toHaveText(/running|holding/);
});

test("an edge that says nothing at all is a lost connection too", async ({ page }) => {
  await open(page, "checkout", OPERATOR);
  stage.stall(true);
  try {
    await expect(page.getByRole("alert").filter({ hasText: "Connection lost" })).toContainText("Connection lost");
  } finally {
    stage.stall(false);
  }
  await expect(page.getByRole("alert").filter({ hasText: "Connection lost" })).toHaveCount(0);
});

test("everything is frozen and thawed, and a rollout is aborted", async ({ page }) => {
  await open(page, "checkout", OPERATOR);
  await ask(page, "Freeze", "the network is being repaired");
  await expect(page.locator(".notice.cold")).toContainText("the network is being repaired");
  await ask(page, "Lift freeze", "it is repaired", "Lift the freeze");
  await expect(page.locator(".notice.cold")).toHaveCount(0);
  await ask(page, "Abort", "customers complain");
  await expect(badge(page)).toHaveText("rolled back");
  await expect(decisions(page)).toContainText("customers complain");
  expect(await weight("checkout", "v42")).toBe(0);
});

async function open(page: Page, service: string | null, token: string): Promise<void> {
  await page.addInitScript((value) => sessionStorage.setItem("serin-token", value), token);
  await visit(page, service);
}

async function visit(page: Page, service: string | null): Promise<void> {
  await page.goto(`${stage.url}#/${service ?? ""}`);
  await expect(page.getByRole("heading", { level: 1, name: service ?? "Services" })).toBeVisible();
}

/** A button, a reason, a confirmation. */
async function ask(page: Page, button: string, reason: string, verb = button): Promise<void> {
  await page.getByRole("button", { name: button, exact: true }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Reason").fill(reason);
  await confirm(dialog, verb);
  await expect(dialog).toBeHidden();
}

function confirm(dialog: Locator, verb: string): Promise<void> {
  return dialog.getByRole("button", { name: verb, exact: true }).click();
}

function decisions(page: Page): Locator {
  return page.getByRole("region", { name: "Decisions" });
}

/** Who gets how much, in words. */
function split(page: Page): Locator {
  return page.locator(".split-words").first();
}

function badge(page: Page): Locator {
  return page.locator(".title .badge");
}

async function weight(service: string, version: string): Promise<number> {
  const found = (await stage.call("GET", `/v1/services/${service}`)) as { weights: Record<string, number> };
  return found.weights[version] ?? 0;
}
