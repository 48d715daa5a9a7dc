import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** More than any client that sends ahead has reason for. */
const maxWaiting = 100;

/**
 * Requests that a client sends before it has the answer to an earlier one: RFC 9112, section 9.3.2, "Pipelining". Nothing is
 * done for one before its turn. What is made ahead would be held in memory, and nobody would be told when its connection ends.
 */
export class Turns {
  readonly #waiting = new WeakMap<Socket, number>();

  /** Waits until the answer can be sent. False where the connection ended before; one with too many that wait is ended. */
  async hasCome({ socket }: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (response.socket !== null) return true;
    const waiting = (this.#waiting.get(socket) ?? 0) + 1;
    if (waiting > maxWaiting) socket.destroy();
    if (socket.destroyed) return false;
    this.#waiting.set(socket, waiting);
    // One listener each, and they are bounded: no reason to warn of many.
    socket.setMaxListeners(0);
    await new Promise<void>((resolve) => {
      const isOver = (): void => {
        response.off('socket', isOver);
        socket.off('close', isOver);
        resolve();
      };
      response.on('socket', isOver);
      socket.on('close', isOver);
    });
    this.#waiting.set(socket, (this.#waiting.get(socket) ?? 1) - 1);
    return !socket.destroyed;
  }
}
