// Opens a report in a headless Chromium: node look_at_report.mjs REPORT.html PREFIX
//
// Writes a screenshot for each of four screens and a PDF. Fails if the page is wider than a screen, asks for anything
// but itself, or reports an error. Needs the npm packages puppeteer-core and @sparticuz/chromium.
import path from 'node:path';
import { pathToFileURL } from 'node:url';

import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

const SCREENS = [
  { name: 'desktop', width: 1280, height: 900, scheme: 'light', scale: 1 },
  { name: 'dark', width: 1280, height: 900, scheme: 'dark', scale: 1 },
  { name: 'phone', width: 390, height: 844, scheme: 'light', scale: 2 },
  { name: 'phone_dark', width: 390, height: 844, scheme: 'dark', scale: 2 },
];

const [report, prefix] = process.argv.slice(2);
const address = pathToFileURL(path.resolve(report)).href;
const browser = await puppeteer.launch({
  args: [...chromium.args, '--no-sandbox'],
  executablePath: await chromium.executablePath(),
  headless: 'shell',
});
const faults = [];
for (const { name, width, height, scheme, scale } of SCREENS) {
  const page = await browser.newPage();
  page.on('request', (request) => request.url() === address || faults.push(`${name}: asks for ${request.url()}`));
  page.on('pageerror', (error) => faults.push(`${name}: ${error.message}`));
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
  await page.setViewport({ width, height, deviceScaleFactor: scale });
  await page.goto(address, { waitUntil: 'load' });
  const found = await page.evaluate(() => document.documentElement.scrollWidth);
  if (found > width) faults.push(`${name}: the page is ${found} pixels wide, the screen ${width}`);
  await page.screenshot({ path: `${prefix}_${name}.png`, fullPage: true });
  if (name === 'desktop') await page.pdf({ path: `${prefix}.pdf`, format: 'A4' });
  await page.close();
}
await browser.close();
for (const fault of faults) console.error(fault);
console.log(`${SCREENS.length} screens, ${faults.length} faults`);
process.exitCode = faults.length ? 1 : 0;
