// Keeps the page, so that it opens without a network once it has been loaded.
//
// What is small is fetched when the worker is installed. Of LiteRT's builds of WebAssembly a browser needs one, which
// the page knows and this worker does not: the page names what it used, and that is kept too. A new build of the page
// is a new cache, filled with all that the old one had before it takes over.

importScripts('build.js'); // self.BUILD = { version, files }, written by build.mjs

const PREFIX = 'edgedistil-';
const CACHE = PREFIX + self.BUILD.version;

self.addEventListener('install', (event) => event.waitUntil(install()));
self.addEventListener('activate', (event) => event.waitUntil(removeOldCaches()));
self.addEventListener('fetch', (event) => {
  const isOurs = new URL(event.request.url).origin === self.location.origin;
  if (event.request.method === 'GET' && isOurs) event.respondWith(answer(event.request));
});
self.addEventListener('message', (event) => {
  const [port] = event.ports;
  event.waitUntil(
    keep(event.data).then(
      () => port.postMessage(true),
      () => port.postMessage(false),
    ),
  );
});

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll([...new Set([...resolved(self.BUILD.files), ...(await urlsOfOldCaches())])]);
  await self.skipWaiting(); // all is here: the next visit gets the new page, though a tab with the old one is open
}

async function removeOldCaches() {
  for (const name of await oldCaches()) await caches.delete(name);
}

async function answer(request) {
  return (await (await caches.open(CACHE)).match(request)) ?? fetch(request);
}

async function keep(urls) {
  const cache = await caches.open(CACHE);
  const missing = [];
  for (const url of urls) if (!(await cache.match(url))) missing.push(url);
  await cache.addAll(missing);
}

async function urlsOfOldCaches() {
  const urls = [];
  for (const name of await oldCaches()) {
    for (const { url } of await (await caches.open(name)).keys()) urls.push(url);
  }
  return urls;
}

async function oldCaches() {
  return (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
}

function resolved(files) {
  return files.map((file) => new URL(file, self.location.href).href);
}
