export interface TreeNode {
  readonly label: string;
  readonly children?: readonly TreeNode[] | undefined;
}

/** A tree with lines from parents to children. Ends with a newline. */
export function formatTree(root: TreeNode): string {
  return `${root.label}\n${formatChildren(root.children ?? [], '')}`;
}

function formatChildren(nodes: readonly TreeNode[], indent: string): string {
  return nodes
    .map((node, index) => {
      const isLast = index === nodes.length - 1;
      const below = formatChildren(node.children ?? [], `${indent}${isLast ? '   ' : '│  '}`);
      return `${indent}${isLast ? '└─ ' : '├─ '}${node.label}\n${below}`;
    })
    .join('');
}
