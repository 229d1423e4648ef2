package kabench;

import io.micronaut.http.HttpMethod;
import io.micronaut.http.HttpRequest;
import io.micronaut.http.HttpResponse;
import io.micronaut.http.MutableHttpRequest;
import io.micronaut.http.client.DefaultHttpClientConfiguration;
import io.micronaut.http.client.HttpClient;
import io.micronaut.http.client.HttpClientConfiguration.ConnectionPoolConfiguration;
import io.micronaut.http.client.HttpClientConfiguration.ConnectionPoolConfiguration.ConnectionLocality;
import io.micronaut.http.client.HttpClientConfiguration.ConnectionPoolConfiguration.PoolVersion;
import io.micronaut.http.client.exceptions.HttpClientResponseException;
import io.micronaut.http.ssl.ClientSslConfiguration;
import java.time.Duration;
import reactor.core.publisher.Flux;

/** Micronaut's HTTP client, without Micronaut's beans. */
final class Micronaut implements Kit.Client {
    private final HttpClient client;

    public static void main(String[] args) throws Exception {
        Kit.driver("micronaut", "Micronaut HTTP Client", Kit.versionOf(HttpClient.class))
                .count("pool.max-concurrent-http1-connections", 1000, "max_conns")
                .count("pool.max-pending-connections", 4, null) // that are being opened at the same time
                .count("pool.max-pending-acquires", null, "pending_max")
                .duration("pool.acquire-timeout", null, "pending_timeout")
                .text("pool.connection-locality", "PREFERRED", null, "PREFERRED", "IGNORE", "ENFORCED_IF_SAME_GROUP", "ENFORCED_ALWAYS")
                .text("pool.version", "V4_9", null, "V4_9", "V4_0")
                .duration("connection-pool-idle-timeout", null, "idle_timeout")
                .duration("connect-ttl", null, "max_lifetime")
                .duration("connect-timeout", null, "connect_timeout")
                .duration("read-timeout", 10_000, "response_timeout")
                .duration("read-idle-timeout", 300_000, null)
                .run(Micronaut::new);
    }

    Micronaut(Config config) throws Exception {
        DefaultHttpClientConfiguration c = new DefaultHttpClientConfiguration();
        ConnectionPoolConfiguration pool = c.getConnectionPoolConfiguration();
        config.on("pool.max-concurrent-http1-connections", (Integer n) -> pool.setMaxConcurrentHttp1Connections(orMost(n)));
        config.on("pool.max-pending-connections", (Integer n) -> pool.setMaxPendingConnections(orMost(n)));
        config.on("pool.max-pending-acquires", (Integer n) -> pool.setMaxPendingAcquires(orMost(n)));
        config.on("pool.acquire-timeout", pool::setAcquireTimeout);
        config.on("pool.connection-locality", (String s) -> pool.setConnectionLocality(ConnectionLocality.valueOf(s)));
        config.on("pool.version", (String s) -> pool.setVersion(PoolVersion.valueOf(s)));
        config.on("connection-pool-idle-timeout", c::setConnectionPoolIdleTimeout);
        config.on("connect-ttl", c::setConnectTtl);
        config.on("connect-timeout", c::setConnectTimeout);
        config.on("read-timeout", c::setReadTimeout);
        config.on("read-idle-timeout", c::setReadIdleTimeout);
        c.setFollowRedirects(false);
        if (config.insecure && c.getSslConfiguration() instanceof ClientSslConfiguration tls) {
            tls.setInsecureTrustAllCertificates(true);
        }
        client = HttpClient.create(null, c);
    }

    private static int orMost(Integer n) {
        return n == null ? Integer.MAX_VALUE : n;
    }

    @Override
    public void call(Call call) {
        MutableHttpRequest<byte[]> request = HttpRequest.create(HttpMethod.parse(call.method), call.url);
        for (String[] h : call.headers) {
            request.header(h[0], h[1]);
        }
        if (call.size > 0) {
            request.contentType("application/octet-stream").body(call.body());
        }
        call.begin();
        call.onTimeout(Flux.from(client.exchange(request)).subscribe(response -> read(call, response), error -> {
            if (error instanceof HttpClientResponseException e && e.code() >= 400) { // a response that the client tells as an exception
                read(call, e.getResponse());
                call.done();
            } else {
                call.failed(error);
            }
        }, call::done)::dispose);
    }

    private static void read(Call call, HttpResponse<?> response) {
        call.status(response.code());
        call.read(response.getBody(byte[].class).map(body -> body.length).orElse(0));
    }

    @Override
    public void close() {
        client.close();
    }
}
