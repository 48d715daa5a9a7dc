import { parseArgs } from 'node:util';

import { formatBytes } from '../../src/report/units.ts';
import { LoadFaults } from '../../test/support/load-faults.ts';

/**
 * A bundle of 600 MB and more into a Harbor: 50 times killed at points that a seed chooses, and once with 10 restarts of Harbor. Both
 * end in the same registry, nothing but what was in flight is sent twice, and no tag is visible before all of its content.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    kills: { type: 'string', default: '50' },
    restarts: { type: 'string', default: '10' },
    megabytes: { type: 'string', default: '620' },
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
  const figures = Object.entries({ killed, restarted }).map(([name, load]) => {
    const { disturbances, uploadedBytes, lostBytes, blobBytes, watched, halfLoaded, violations } = load;
    return {
      name,
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
  const isSame = JSON.stringify(killed.endState) === JSON.stringify(restarted.endState);
  process.stdout.write(
    `${JSON.stringify({ seed: Number(values.seed), isSame, images: killed.endState.length, figures }, undefined, 2)}\n`,
  );
  const isGood = figures.every(
    ({ ratioWithoutInFlight, halfLoaded, violations, disturbances }, at) =>
      ratioWithoutInFlight <= 1.05 &&
      halfLoaded.length === 0 &&
      violations.length === 0 &&
      disturbances === Number(at === 0 ? values.kills : values.restarts),
  );
  if (!isSame || !isGood || killed.endState.length !== imageCount) process.exitCode = 1;
} finally {
  await faults.close();
}
