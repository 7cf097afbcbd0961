/** Pointer and wheel on the stage: pan, zoom, and the tools' gestures in frame pixels. */

const WHEEL_ZOOM = 1.0015; // per pixel of wheel
const LEAST_PRESSURE = 0.15;

/**
 * @param {import("./stage.js").Stage} stage
 * @param {import("./tools.js").Tools} tools
 * @param {{shownFrame: () => number | null, pressed: () => void, spaceDragged: () => void,
 *   isSpaceHeld: () => boolean}} player
 * @param {AbortSignal} signal ends the listening
 */
export function listenToPointer(stage, tools, player, signal) {
  const { root } = stage;
  let pan = null; // {id, x, y}
  let drawing = null; // pointer id
  let last = null; // last event, for a cursor that changes size under a resting pointer

  const on = (type, listener, options = {}) =>
    root.addEventListener(type, listener, { signal, ...options });

  const cursor = () => {
    if (!last || pan) return;
    stage.showCursor(stage.place(last), tools.tool, tools.hasCircle ? tools.diameter : null);
  };

  on("pointerdown", (event) => {
    if (drawing !== null || pan) return;
    if (event.button === 1 || (event.button === 0 && player.isSpaceHeld())) {
      pan = { id: event.pointerId, x: event.clientX, y: event.clientY };
      root.classList.add("is-panning");
      stage.hideCursor();
      capture(root, event);
      if (event.button === 0) player.spaceDragged();
      if (event.button === 1) event.preventDefault(); // no scrolling by the middle button
      return;
    }
    if (event.button !== 0 && event.button !== 2) return;
    player.pressed();
    const frameIndex = player.shownFrame();
    if (frameIndex === null) return;
    drawing = event.pointerId;
    capture(root, event);
    tools.press(stage.imagePoint(event), frameIndex, {
      second: event.button === 2 || event.ctrlKey, // a Mac's right button may be Ctrl and the left
      alt: event.altKey,
      pressure: pressureOf(event),
      scale: stage.viewport.scale,
    });
  });

  on("pointermove", (event) => {
    last = event;
    if (pan?.id === event.pointerId) {
      stage.pan(event.clientX - pan.x, event.clientY - pan.y);
      pan = { id: pan.id, x: event.clientX, y: event.clientY };
      return;
    }
    if (drawing === event.pointerId) {
      // Between two painted frames a fast hand makes many moves; all of them belong to the line.
      const moves = event.getCoalescedEvents?.() ?? [];
      tools.move(
        (moves.length ? moves : [event]).map((move) => ({
          point: stage.imagePoint(move),
          pressure: pressureOf(move),
        })),
      );
    } else if (event.altKey && player.shownFrame() !== null) {
      tools.hover(stage.imagePoint(event), player.shownFrame());
    } else {
      tools.clearPreview();
    }
    cursor();
  });

  const lift = (event) => {
    if (pan?.id === event.pointerId) {
      pan = null;
      root.classList.remove("is-panning");
    }
    if (drawing === event.pointerId) {
      drawing = null;
      if (event.type === "pointercancel") tools.cancel();
      else tools.release();
    }
    last = event;
    cursor();
  };
  on("pointerup", lift);
  on("pointercancel", lift);
  on("pointerleave", () => {
    last = null;
    stage.hideCursor();
    tools.clearPreview();
  });
  on("contextmenu", (event) => event.preventDefault());
  on("auxclick", (event) => event.preventDefault());
  on("dblclick", (event) => event.preventDefault());

  on(
    "wheel",
    (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? event.deltaY * 16 : event.deltaY;
      if (event.ctrlKey && tools.hasCircle) tools.changeBrush(-Math.sign(pixels));
      else stage.zoom(WHEEL_ZOOM ** -pixels, stage.place(event));
      last = event;
      cursor();
    },
    { passive: false },
  );

  return { refreshCursor: cursor };
}

function pressureOf(event) {
  return event.pointerType === "pen" && event.pressure > 0
    ? Math.max(LEAST_PRESSURE, event.pressure)
    : 1;
}

/** Keep hearing the pointer outside the stage; a pointer already gone cannot be captured. */
function capture(root, event) {
  if (root.hasPointerCapture?.(event.pointerId)) return;
  try {
    root.setPointerCapture(event.pointerId);
  } catch (error) {
    if (error.name !== "NotFoundError") throw error;
  }
}
