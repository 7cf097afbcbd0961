/** Play, the frame counter, in and out, verified, and the next frame to look at. */

import { drawing, element, setAttribute, setText } from "../shared/dom.js";
import { button, yieldKeys } from "./controls.js";
import { SPEEDS, frameLabel } from "./playback.js";

const PLAY = "M4.5 2.5v11l9-5.5z";
const UNDO = "M5.5 3 2.5 6l3 3M2.5 6h6.5a4 4 0 0 1 0 8H6";
const REDO = "M10.5 3l3 3-3 3M13.5 6H7a4 4 0 0 0 0 8h3";
const STOP = "M4 3h3v10H4zM9 3h3v10H9z";

/**
 * @param {{keys: object, actions: import("./actions.js").Actions}} parts
 */
export function buildTransport({ keys, actions }) {
  const play = button({
    label: "Play",
    sign: PLAY,
    name: "play",
    keys,
    className: "icon-only rsc-play",
    press: () => actions.togglePlay(),
    toggles: true,
  });
  const playing = drawing(STOP);
  const paused = play.firstChild;
  const counter = element("output", {
    class: "rsc-counter",
    "aria-label": "Frame, and how many there are",
    "aria-live": "off",
  });
  const speed = element(
    "select",
    {
      class: "rsc-speed",
      "aria-label": "Speed",
      title: "Speed",
      onchange: (event) => actions.setSpeed(Number(event.target.value)),
    },
    ...SPEEDS.map((value) =>
      element("option", { value: String(value), selected: value === 1 }, `x${value}`),
    ),
  );
  yieldKeys(speed);
  const markIn = button({
    label: "In",
    name: "mark-in",
    keys,
    title: "The range begins here",
    press: () => actions.markIn(),
  });
  const markOut = button({
    label: "Out",
    name: "mark-out",
    keys,
    title: "The range ends here",
    press: () => actions.markOut(),
  });
  const range = element("output", { class: "rsc-range", "aria-label": "Range" });
  const clear = button({
    label: "Whole clip",
    sign: "M4 4l8 8M12 4l-8 8",
    className: "icon-only",
    title: "Back to the whole clip",
    press: () => actions.clearRange(),
  });
  const verified = button({
    label: "Verified",
    sign: "M3 8.5 6.5 12 13 4.5",
    name: "verify",
    keys,
    title: "This frame is right",
    press: () => actions.verify(false),
    className: "rsc-verified",
    toggles: true,
  });
  const next = button({
    label: "Next to look at",
    sign: "M3 3.5 7.5 8 3 12.5M8.5 3.5 13 8l-4.5 4.5",
    name: "next-to-look-at",
    keys,
    title: "Go to the next frame that may be wrong",
    press: () => actions.goToLook(1),
  });

  const undo = button({
    label: "Undo",
    sign: UNDO,
    name: "undo",
    keys,
    className: "icon-only",
    press: () => actions.step("undo"),
  });
  const redo = button({
    label: "Redo",
    sign: REDO,
    name: "redo",
    keys,
    className: "icon-only",
    press: () => actions.step("redo"),
  });

  const root = element(
    "div",
    { class: "rsc-transport", role: "toolbar", "aria-label": "Time" },
    play,
    counter,
    speed,
    element(
      "div",
      { class: "rsc-group", role: "group", "aria-label": "Range" },
      markIn,
      range,
      markOut,
      clear,
    ),
    element("div", { class: "rsc-group", role: "group", "aria-label": "History" }, undo, redo),
    element("span", { class: "rsc-gap" }),
    verified,
    next,
  );

  return {
    root,
    /** The one thing that changes with every frame. */
    showFrame(frameIndex, frameCount) {
      setText(counter, frameCount ? frameLabel(frameIndex, frameCount) : "--- / ---");
    },
    /** @param {{playing, speed, range, whole, frameCount, verified, editable, enabled}} state */
    show(state) {
      if (state.playing !== play.contains(playing)) {
        play.replaceChild(state.playing ? playing : paused, play.firstChild);
      }
      setAttribute(play, "aria-pressed", state.playing);
      speed.value = String(state.speed);
      const last = String(Math.max(0, state.frameCount - 1)).length;
      const padded = (value) => String(value).padStart(Math.max(3, last), "0");
      setText(
        range,
        state.enabled ? `${padded(state.range.first)} - ${padded(state.range.last)}` : "--- - ---",
      );
      range.classList.toggle("is-whole", state.whole);
      clear.classList.toggle("is-quiet", state.whole);
      setAttribute(verified, "aria-pressed", state.verified);
      for (const one of [play, speed, markIn, markOut, undo, redo]) one.disabled = !state.enabled;
      clear.disabled = !state.enabled || state.whole;
      for (const one of [verified, next]) one.disabled = !state.editable;
    },
  };
}
