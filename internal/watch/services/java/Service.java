package kabench;

import com.sun.net.httpserver.HttpServer;
import io.micrometer.core.instrument.Metrics;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** A service that calls a URL at a steady rate through its client's pool, and shows the pool's gauges. */
final class Service {
    /** A client: it ends each call with {@link #ok} or {@link #failed}. */
    interface Client {
        void call(String method, String url, Service of);
    }

    private final Map<String, String> options = new HashMap<>();
    private final Map<String, Long> errors = new TreeMap<>();
    private final AtomicLong sent = new AtomicLong();
    private final AtomicLong ok = new AtomicLong();
    private final CountDownLatch ended = new CountDownLatch(1);

    Service(String[] args) {
        for (int i = 0; i + 1 < args.length; i += 2) {
            options.put(args[i], args[i + 1]);
        }
    }

    String text(String name, String otherwise) {
        return options.getOrDefault("--" + name, otherwise);
    }

    /** The value of an option in whole numbers; 0 if it is not given. */
    int number(String name) {
        return Integer.parseInt(text(name, "0"));
    }

    void ok() {
        ok.incrementAndGet();
        ended.countDown();
    }

    void failed(Throwable error) {
        synchronized (errors) {
            errors.merge(error.getClass().getName() + ": " + error.getMessage(), 1L, Long::sum);
        }
        ended.countDown();
    }

    /** Calls at the rate. What a busy machine delays is left out, so that no burst fills the pool. */
    private void pace(Client client, String method, String url) {
        long every = 1_000_000_000L / Math.max(1, number("rate"));
        for (long due = System.nanoTime();; due = Math.max(due + every, System.nanoTime() - every)) {
            while (System.nanoTime() < due) {
                LockSupport.parkNanos(due - System.nanoTime());
            }
            sent.incrementAndGet();
            try {
                client.call(method, url, this);
            } catch (RuntimeException e) {
                failed(e);
            }
        }
    }

    /** Calls until the standard input ends. */
    void run(Client client) throws Exception {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        Metrics.addRegistry(registry);
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName(text("metrics-address", "127.0.0.1")), number("metrics-port")), 0);
        server.createContext("/metrics", exchange -> {
            byte[] body = registry.scrape().getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
        String url = text("url", "");
        String method = text("method", "GET");
        sent.incrementAndGet();
        client.call(method, url, this); // loads the classes of the client, which takes long
        ended.await(10, TimeUnit.SECONDS);
        System.out.println("{\"metrics\":\"http://" + text("metrics-address", "127.0.0.1") + ":" + server.getAddress().getPort() + "/metrics\"}");
        Thread pace = new Thread(() -> pace(client, method, url));
        pace.setDaemon(true);
        pace.start();
        while (System.in.read() >= 0) {
        }
        synchronized (errors) {
            StringBuilder said = new StringBuilder();
            errors.forEach((text, n) -> said.append(said.length() == 0 ? "" : ",").append('"').append(text.replaceAll("[\\\\\"\\p{Cntrl}]", " ")).append("\":").append(n));
            System.out.println("{\"sent\":" + sent + ",\"ok\":" + ok + ",\"errors\":{" + said + "}}");
        }
        Runtime.getRuntime().halt(0);
    }
}
