/** Which key name does what; the keys themselves stand in the page's table. */

/**
 * @param {object} keys the page's keys
 * @param {import("./actions.js").Actions} actions
 * @param {{tools, stage, compare, screen, lastFrame: () => number}} parts
 * @returns {() => void} takes the handlers back
 */
export function listenToKeys(keys, actions, { tools, stage, compare, screen, lastFrame }) {
  const held = {
    play: (down, event) => actions.playKey(down, event),
    hide: (down) => actions.hide(down),
    preview: (down) => !down && tools.clearPreview(),
  };
  const pressed = {
    "frame-back": () => actions.goBy(-1),
    "frame-forward": () => actions.goBy(1),
    "ten-back": () => actions.goBy(-10),
    "ten-forward": () => actions.goBy(10),
    "first-frame": () => actions.goTo(0),
    "last-frame": () => actions.goTo(lastFrame()),
    "mark-in": () => actions.markIn(),
    "mark-out": () => actions.markOut(),
    "next-to-look-at": () => actions.goToLook(1),
    "previous-to-look-at": () => actions.goToLook(-1),
    "other-reading": () => actions.nextReading(),
    redraw: () => actions.redraw(),
    "clear-clicks": () => actions.clearClicks(),
    positive: () => tools.choose("positive"),
    negative: () => tools.choose("negative"),
    box: () => tools.choose("box"),
    brush: () => tools.choose("brush"),
    eraser: () => tools.choose("eraser"),
    lasso: () => tools.choose("lasso"),
    layer: () => tools.toggleLayer(),
    undo: () => actions.step("undo"),
    redo: () => actions.step("redo"),
    verify: () => actions.verify(false),
    "verify-empty": () => actions.verify(true),
    "zoom-in": () => stage.zoom(1.25),
    "zoom-out": () => stage.zoom(0.8),
    "zoom-fit": () => stage.zoomFit(),
    compare: () => compare.cycle(),
    flicker: () => compare.toggleFlicker(),
    stats: () => screen.toggleStats(),
  };
  const undo = [
    ...Object.entries(held).map(([name, act]) =>
      keys.on(name, ({ down, event }) => act(down, event)),
    ),
    ...Object.entries(pressed).map(([name, act]) => keys.on(name, () => act())),
  ];
  return () => undo.forEach((takeBack) => takeBack());
}
