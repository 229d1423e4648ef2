package kabench;

import java.net.URI;
import java.time.Duration;
import org.eclipse.jetty.client.AbstractConnectionPool;
import org.eclipse.jetty.client.BytesRequestContent;
import org.eclipse.jetty.client.ConnectionPool;
import org.eclipse.jetty.client.Destination;
import org.eclipse.jetty.client.DuplexConnectionPool;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.client.Request;
import org.eclipse.jetty.client.transport.HttpDestination;
import org.eclipse.jetty.http.HttpCookieStore;
import org.eclipse.jetty.util.ssl.SslContextFactory;

/** Jetty's HttpClient. */
final class Jetty implements Kit.Client {
    private final HttpClient client = new HttpClient();
    private final Duration timeout;

    public static void main(String[] args) throws Exception {
        Kit.driver("jetty-httpclient", "Jetty HttpClient", Kit.versionOf(HttpClient.class))
                .count("maxConnectionsPerDestination", 64, "max_conns")
                .count("maxRequestsQueuedPerDestination", 1024, "pending_max")
                .duration("idleTimeout", 30_000, "idle_timeout")
                .duration("maxDuration", null, "max_lifetime")
                .count("maxUsage", null, "max_requests")
                .duration("connectTimeout", 5_000, "connect_timeout")
                .duration("timeout", null, "response_timeout")
                .gauges("active", "idle", "pending")
                .run(Jetty::new);
    }

    Jetty(Config config) throws Exception {
        client.setFollowRedirects(false);
        client.setHttpCookieStore(new HttpCookieStore.Empty());
        config.on("maxConnectionsPerDestination", (Integer n) -> client.setMaxConnectionsPerDestination(n == null ? Integer.MAX_VALUE : n));
        config.on("maxRequestsQueuedPerDestination", (Integer n) -> client.setMaxRequestsQueuedPerDestination(n == null ? Integer.MAX_VALUE : n));
        config.on("idleTimeout", (Duration d) -> client.setIdleTimeout(d == null ? 0 : d.toMillis()));
        config.on("connectTimeout", (Duration d) -> client.setConnectTimeout(d == null ? 0 : d.toMillis()));
        timeout = config.get("timeout");
        Duration life = config.get("maxDuration");
        Integer usage = config.get("maxUsage");
        if (life != null || usage != null) {
            client.getTransport().setConnectionPoolFactory(to -> {
                DuplexConnectionPool pool = new DuplexConnectionPool(to, client.getMaxConnectionsPerDestination());
                pool.setMaxDuration(life == null ? 0 : life.toMillis());
                pool.setMaxUsage(usage == null ? -1 : usage);
                return pool;
            });
        }
        if (config.insecure) {
            SslContextFactory.Client any = new SslContextFactory.Client(true);
            any.setEndpointIdentificationAlgorithm(null);
            client.setSslContextFactory(any);
        }
        client.start();
    }

    @Override
    public void call(Call call) {
        Request request = client.newRequest(URI.create(call.url)).method(call.method).headers(all -> {
            for (String[] h : call.headers) {
                all.add(h[0], h[1]);
            }
        });
        if (call.size > 0) {
            request.body(new BytesRequestContent((String) null, call.body()));
        }
        if (timeout != null) {
            request.timeout(timeout.toMillis(), java.util.concurrent.TimeUnit.MILLISECONDS);
        }
        request.onResponseContent((response, part) -> call.read(part.remaining()));
        call.onTimeout(() -> request.abort(new TimedOut(0)));
        call.begin();
        request.send(result -> {
            if (result.isFailed()) {
                call.failed(result.getFailure());
                return;
            }
            call.status(result.getResponse().getStatus());
            call.done();
        });
    }

    @Override
    public long[] gauges() {
        long[] sum = new long[3];
        for (Destination to : client.getDestinations()) {
            HttpDestination d = (HttpDestination) to;
            ConnectionPool pool = d.getConnectionPool();
            if (pool instanceof AbstractConnectionPool counted) {
                sum[0] += counted.getActiveConnectionCount();
                sum[1] += counted.getIdleConnectionCount();
            }
            sum[2] += d.getQueuedRequestCount();
        }
        return sum;
    }

    @Override
    public void close() throws Exception {
        client.stop();
    }
}
