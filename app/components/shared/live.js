/**
 * The live channel: messages from the server as they happen, and back again after a lost connection.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;

/** How long to wait before the n-th try (from 0): doubling, never past LONGEST_WAIT_MS. */
export function waitBefore(tries) {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries);
}

/**
 * Open the channel at `url` and keep it open.
 *
 * `hear(message)` gets each parsed message; `connection(up, again)` each change, with `again` true
 * when it came back after a loss, so that the page can fetch what it missed. Returns {retry, close}.
 */
export function openLive(url, { hear, connection }) {
  let socket = null;
  let timer = null;
  let tries = 0;
  let opened = false;
  let closed = false;
  let up = null;

  function connect() {
    clearTimeout(timer);
    socket = new WebSocket(url);
    socket.onopen = () => {
      tries = 0;
      up = true;
      connection(true, opened);
      opened = true;
    };
    socket.onmessage = (event) => hear(JSON.parse(event.data));
    socket.onclose = () => {
      if (closed) return;
      if (up !== false) connection(false, opened);
      up = false;
      timer = setTimeout(connect, waitBefore(tries));
      tries += 1;
    };
  }

  connect();
  return {
    /** Try at once, as the person asked. */
    retry() {
      if (up || closed) return;
      tries = 0;
      if (socket.readyState !== WebSocket.CONNECTING) connect();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      socket.close();
    },
  };
}
