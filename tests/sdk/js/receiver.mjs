// A webhook receiver on loopback: keeps what arrives, answers what it is told to.
import { createServer } from "node:http";
import { once } from "node:events";

export class Receiver {
  status = 200;
  #arrivals = [];
  #waiting = [];
  #server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const arrival = { headers: request.headers, body: Buffer.concat(chunks).toString() };
    response.writeHead(this.status).end(`answered ${this.status}`);
    const waiter = this.#waiting.shift();
    if (waiter) waiter(arrival);
    else this.#arrivals.push(arrival);
  });

  async start() {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.url = `http://127.0.0.1:${this.#server.address().port}/hook`;
  }

  // The next arrival, those that came before it was asked for included.
  next(what, seconds = 30) {
    const kept = this.#arrivals.shift();
    if (kept) return Promise.resolve(kept);
    return new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`${what}: nothing arrived in ${seconds} s`)),
        seconds * 1000,
      );
      this.#waiting.push((arrival) => {
        clearTimeout(late);
        resolve(arrival);
      });
    });
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}
