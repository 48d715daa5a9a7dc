import { parseArgs } from 'node:util';

import { formatBytes } from '../../src/report/units.ts';
import { LoadFaults } from '../../test/support/load-faults.ts';

/**
 * A bundle of 600 MB and more into a Harbor: 50 times killed at points that a seed chooses, once with 10 restarts of Harbor, and once
 * for 40 s with tokens that end every 5 s. All end in the same registry, nothing but what was in flight is sent twice, and no tag is
 * visible before all of its content.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '50' },
    restarts: { type: 'string', default: '10' },
    megabytes: { type: 'string', default: '620' },
    'token-ms': { type: 'string', default: '5000' },
    'load-ms': { type: 'string', default: '40000' },
  },
});

const perImage = [0.55, 0.3, 0.1, 0.05];
const imageCount = 20;
const imageBytes = (Number(values.megabytes) * 1_000_000) / imageCount;
const images = Array.from({ length: imageCount }, () => perImage.map((share) => Math.round(share * imageBytes)));

console.error('proof: making the images and the bundle');
const faults = await LoadFaults.prepare({ seed: Number(values.seed), images });
try {
  console.error(`proof: ${values.kills} kills`);
  const killed = await faults.killed('killed', Number(values.kills));
  console.error(`proof: ${values.restarts} restarts of Harbor`);
  const restarted = await faults.restarted('restarted', Number(values.restarts));
  console.error(`proof: tokens that end after ${values['token-ms']} ms`);
  const bytesPerSecond = Math.round((killed.blobBytes * 1000) / Number(values['load-ms']));
  const expiring = await faults.expiring('expiring', Number(values['token-ms']), bytesPerSecond);
  const { durationMs, tokens, refused } = expiring;
  const figures = Object.entries({ killed, restarted, expiring }).map(([name, load]) => {
    const { disturbances, uploadedBytes, lostBytes, blobBytes, watched, halfLoaded, violations } = load;
    return {
      name,
      ...(name === 'expiring' ? { seconds: Math.round(durationMs / 1000), tokens, refused } : {}),
      disturbances,
      bundle: formatBytes(blobBytes),
      uploaded: formatBytes(uploadedBytes),
      inFlight: formatBytes(lostBytes),
      ratioWithoutInFlight: Number(((uploadedBytes - lostBytes) / blobBytes).toFixed(4)),
      watched,
      halfLoaded,
      violations,
    };
  });
  const isSame = [restarted, expiring].every(
    ({ endState }) => JSON.stringify(endState) === JSON.stringify(killed.endState),
  );
  process.stdout.write(
    `${JSON.stringify({ seed: Number(values.seed), isSame, images: killed.endState.length, figures }, undefined, 2)}\n`,
  );
  const isGood = figures.every(
    ({ ratioWithoutInFlight, halfLoaded, violations, disturbances }, at) =>
      ratioWithoutInFlight <= 1.05 &&
      halfLoaded.length === 0 &&
      violations.length === 0 &&
      disturbances === Number([values.kills, values.restarts, 0][at]),
  );
  const isLong = durationMs > 6 * Number(values['token-ms']) && tokens >= 6;
  if (!isSame || !isGood || !isLong || killed.endState.length !== imageCount) process.exitCode = 1;
} finally {
  await faults.close();
}
