/** How numbers are said. */

/** "3 frames", "1 frame". */
export function count(number, one, many = `${one}s`) {
  return `${number} ${number === 1 ? one : many}`;
}

/** Seconds as "0:07" or "1:02:03". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 60) % 60, whole % 60];
  const hours = Math.floor(whole / 3600);
  const tail = parts.map((part) => String(part).padStart(2, "0"));
  return hours ? `${hours}:${tail.join(":")}` : `${parts[0]}:${tail[1]}`;
}

/** Bytes as "55.9 MB", "689 MB" or "7.3 GB". */
export function size(bytes) {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  return `${(bytes / 1e6).toFixed(bytes >= 1e8 ? 0 : 1)} MB`;
}
