/** A page for a wall: no controls, no pointer, a screen that stays on. */

/** How long the pointer may rest before it goes away. */
const IDLE = 3e3;

export function startKiosk() {
  document.body.classList.add("ap-kiosk");
  let timer = 0;
  const move = () => {
    document.body.classList.remove("ap-idle");
    clearTimeout(timer);
    timer = setTimeout(() => document.body.classList.add("ap-idle"), IDLE);
  };
  addEventListener("pointermove", move);
  move();
  const stay = () => {
    if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", stay);
  stay();
}
