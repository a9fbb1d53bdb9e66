// How the page looks: an audit by axe-core, and pictures for the documents.

import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Where pictures go; without it none are taken. */
const IMAGES = process.env["SERIN_IMAGES"];
const SIZES = [
  { width: 1280, height: 900 },
  { width: 390, height: 844 },
];

interface Finding {
  id: string;
  impact: string;
  nodes: { target: string[]; failureSummary: string }[];
}

/** Nothing that axe-core knows of stands against WCAG 2.2 AA, by day and by night. */
export async function sound(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(AXE);
    const found = await page.evaluate(async () => {
      const { axe } = window as unknown as { axe: { run: (options: unknown) => Promise<{ violations: Finding[] }> } };
      const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
      const { violations } = await axe.run({ runOnly: { type: "tag", values: tags } });
      return violations.map((v) => `${v.impact} ${v.id}: ${v.nodes.map((n) => `${n.target.join(" ")} ${n.failureSummary}`).join("; ")}`);
    });
    expect(found, colorScheme).toEqual([]);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

export async function pictures(page: Page, name: string, { whole = true } = {}): Promise<void> {
  if (!IMAGES) return;
  const before = page.viewportSize();
  for (const size of SIZES) {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      // Charts are drawn anew on the frames after a change of size or colours.
      await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
      const path = join(resolve(IMAGES), `page-${name}-${colorScheme}-${size.width}.png`);
      await page.screenshot({ path, fullPage: whole, animations: "disabled" });
    }
  }
  if (before) await page.setViewportSize(before);
  await page.emulateMedia({ colorScheme: "light" });
}
