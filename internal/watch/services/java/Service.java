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
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;

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
    }

    void failed(Throwable error) {
        synchronized (errors) {
            errors.merge(error.getClass().getName() + ": " + error.getMessage(), 1L, Long::sum);
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
        System.out.println("{\"metrics\":\"http://" + text("metrics-address", "127.0.0.1") + ":" + server.getAddress().getPort() + "/metrics\"}");
        ScheduledExecutorService pace = Executors.newSingleThreadScheduledExecutor();
        String url = text("url", "");
        String method = text("method", "GET");
        pace.scheduleAtFixedRate(() -> {
            sent.incrementAndGet();
            try {
                client.call(method, url, this);
            } catch (RuntimeException e) {
                failed(e);
            }
        }, 0, 1_000_000_000L / Math.max(1, number("rate")), TimeUnit.NANOSECONDS);
        while (System.in.read() >= 0) {
        }
        pace.shutdown();
        synchronized (errors) {
            StringBuilder said = new StringBuilder();
            errors.forEach((text, n) -> said.append(said.length() == 0 ? "" : ",").append('"').append(text.replaceAll("[\\\\\"\\p{Cntrl}]", " ")).append("\":").append(n));
            System.out.println("{\"sent\":" + sent + ",\"ok\":" + ok + ",\"errors\":{" + said + "}}");
        }
        Runtime.getRuntime().halt(0);
    }
}
