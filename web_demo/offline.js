// Stores the page for use without a network, with the help of the service worker in sw.js.

import { showOffline } from './view.js';

/** Once the page has loaded all that it needs; a browser without service workers simply stays online. */
export async function keepForOffline() {
  if (!('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register('sw.js', { updateViaCache: 'none' });
    const { active } = await navigator.serviceWorker.ready;
    showOffline(await isKept(active, usedFiles()));
  } catch (error) {
    console.warn('The page could not be stored for use without a network.', error);
  }
}

/** What this page fetched from its own server: among it the one build of LiteRT's WebAssembly that fits here. */
function usedFiles() {
  const names = performance.getEntriesByType('resource').map(({ name }) => name.split('#')[0]);
  return [...new Set(names)].filter((name) => name.startsWith(location.origin) && !name.endsWith('/sw.js'));
}

function isKept(worker, urls) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }) => resolve(data);
    worker.postMessage(urls, [port2]);
  });
}
