/**
 * The sounds of notifications, made of tones. A browser plays none before somebody has pressed
 * something on the page: until then the last one that was wanted waits, but not for long.
 */

import { on, page } from "./dom.js";

/**
 * @typedef {{at: number, hertz: number, length: number, loud: number, wave: OscillatorType}} Tone times
 *   in seconds, `loud` from 0 to 1
 */

/** @type {Record<string, Tone[]>} */
const TONES = {
  soft: [{ at: 0, hertz: 620, length: 0.22, loud: 0.12, wave: "sine" }],
  chime: [
    { at: 0, hertz: 784, length: 0.35, loud: 0.16, wave: "sine" },
    { at: 0.14, hertz: 1175, length: 0.55, loud: 0.16, wave: "sine" },
  ],
  alarm: [0, 0.22, 0.44, 0.9, 1.12, 1.34].map((at, place) => (
    { at, hertz: place % 2 ? 698 : 932, length: 0.18, loud: 0.22, wave: /** @type {OscillatorType} */ ("triangle") })),
};
/** Milliseconds after which a sound that could not be played is not wanted any more. */
const STALE_SOUND = 5e3;

/** Which sounds there are beside none. */
export const SOUNDS = Object.keys(TONES);

/**
 * Play a sound by its name; for any other name nothing is played.
 * @param {string} name
 */
export async function playSound(name) {
  const tones = TONES[name];
  if (!tones || !globalThis.AudioContext) return;
  /** @type {AudioContext} */
  const audio = (page.audio ??= new AudioContext());
  if (audio.state !== "running" && !(await wokenUp(audio))) return;
  for (const tone of tones) sing(audio, tone);
}

/** The sound of the most urgent of some notifications. @param {{priority: string}[]} notices @param {{sound: boolean, sounds: Record<string, string>}} wishes */
export function soundOf(notices, wishes) {
  if (!wishes.sound) return "none";
  const loudest = ["urgent", "high", "medium", "low"].find((name) => notices.some(({ priority }) => priority === name));
  return (loudest && wishes.sounds[loudest]) || "none";
}

/** Whether it plays now, perhaps after a moment. @param {AudioContext} audio @returns {Promise<boolean>} */
async function wokenUp(audio) {
  const until = Date.now() + STALE_SOUND;
  audio.resume().catch(() => {});
  const pressed = new Promise((resolve) => {
    const stops = ["pointerdown", "keydown"].map((kind) => on(document, kind, () => over(audio.resume())));
    stops.push(on(audio, "statechange", () => over(null)));
    const timer = setTimeout(() => over(null), STALE_SOUND);
    const over = (/** @type {any} */ result) => {
      clearTimeout(timer);
      for (const stop of stops) stop();
      resolve(result);
    };
  });
  await pressed;
  return audio.state === "running" && Date.now() < until;
}

/** One tone, which swells and fades so that it does not click. @param {AudioContext} audio @param {Tone} tone */
function sing(audio, { at, hertz, length, loud, wave }) {
  const [voice, gain] = [audio.createOscillator(), audio.createGain()];
  const from = audio.currentTime + at;
  voice.type = wave;
  voice.frequency.value = hertz;
  gain.gain.setValueAtTime(0, from);
  gain.gain.linearRampToValueAtTime(loud, from + 0.015);
  gain.gain.exponentialRampToValueAtTime(0.0001, from + length);
  voice.connect(gain).connect(audio.destination);
  voice.start(from);
  voice.stop(from + length);
}
