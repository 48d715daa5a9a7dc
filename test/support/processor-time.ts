/** Begins to count how long processors work for this process, in milliseconds: how busy the machine is makes no difference. */
export function processorTime(): () => number {
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
}

/** How long processors work for `task`, in milliseconds. */
export function processorTimeOf(task: () => void): number {
  const spentMs = processorTime();
  task();
  return spentMs();
}
