package kabench;

import io.vertx.core.Future;
import io.vertx.core.MultiMap;
import io.vertx.core.Vertx;
import io.vertx.core.VertxOptions;
import io.vertx.core.buffer.Buffer;
import io.vertx.core.file.FileSystemOptions;
import io.vertx.core.http.HttpClient;
import io.vertx.core.http.HttpClientOptions;
import io.vertx.core.http.HttpMethod;
import io.vertx.core.http.PoolOptions;
import io.vertx.core.http.RequestOptions;
import java.time.Duration;
import java.util.concurrent.TimeUnit;

/** Vert.x's HttpClient, HTTP/1.1. */
final class VertxHttp implements Kit.Client {
    // no directory is made for files of the class path
    private final Vertx vertx = Vertx.vertx(new VertxOptions().setFileSystemOptions(new FileSystemOptions().setFileCachingEnabled(false).setClassPathResolvingEnabled(false)));
    private final HttpClient client;
    private final Duration idle;

    public static void main(String[] args) throws Exception {
        Kit.driver("vertx", "Vert.x HttpClient", Kit.versionOf(Vertx.class))
                .count("http1MaxSize", PoolOptions.DEFAULT_MAX_POOL_SIZE, "max_conns")
                .count("maxWaitQueueSize", null, "pending_max")
                .duration("keepAliveTimeout", 1000 * HttpClientOptions.DEFAULT_KEEP_ALIVE_TIMEOUT, "idle_timeout")
                .duration("cleanerPeriod", PoolOptions.DEFAULT_POOL_CLEANER_PERIOD, "sweep_every")
                .duration("maxLifetime", null, "max_lifetime")
                .duration("connectTimeout", HttpClientOptions.DEFAULT_CONNECT_TIMEOUT, "connect_timeout")
                .duration("idleTimeout", null, "response_timeout")
                .run(VertxHttp::new);
    }

    VertxHttp(Config config) throws Exception {
        HttpClientOptions options = new HttpClientOptions();
        PoolOptions pool = new PoolOptions();
        config.on("http1MaxSize", (Integer n) -> pool.setHttp1MaxSize(n == null ? Integer.MAX_VALUE : n));
        config.on("maxWaitQueueSize", (Integer n) -> pool.setMaxWaitQueueSize(n == null ? -1 : n));
        config.on("keepAliveTimeout", (Duration d) -> {
            if (d != null && d.toMillis() % 1000 != 0) {
                throw new IllegalArgumentException("it takes whole seconds");
            }
            options.setKeepAliveTimeout(d == null ? 0 : (int) d.toSeconds());
        });
        config.on("cleanerPeriod", (Duration d) -> pool.setCleanerPeriod(d == null ? 0 : (int) d.toMillis()));
        config.on("maxLifetime", (Duration d) -> pool.setMaxLifetime(d == null ? 0 : (int) d.toMillis()).setMaxLifetimeUnit(TimeUnit.MILLISECONDS));
        config.on("connectTimeout", (Duration d) -> options.setConnectTimeout(d == null ? Integer.MAX_VALUE : (int) d.toMillis()));
        idle = config.get("idleTimeout");
        if (config.insecure) {
            options.setTrustAll(true).setVerifyHost(false);
        }
        client = vertx.createHttpClient(options, pool);
    }

    @Override
    public void call(Call call) {
        MultiMap headers = MultiMap.caseInsensitiveMultiMap();
        for (String[] h : call.headers) {
            headers.add(h[0], h[1]);
        }
        RequestOptions request = new RequestOptions().setMethod(HttpMethod.valueOf(call.method)).setAbsoluteURI(call.url).setHeaders(headers);
        if (idle != null) {
            request.setIdleTimeout(idle.toMillis());
        }
        call.begin();
        Future<Void> exchange = client.request(request).compose(sending -> {
            call.onTimeout(sending::reset);
            if (call.over()) { // its time was up before it got a connection
                sending.reset();
            }
            return call.size > 0 ? sending.send(Buffer.buffer(call.body())) : sending.send();
        }).compose(response -> {
            call.status(response.statusCode());
            response.handler(part -> call.read(part.length()));
            return response.end();
        });
        exchange.onComplete(done -> {
            if (done.succeeded()) {
                call.done();
            } else {
                call.failed(done.cause());
            }
        });
    }

    @Override
    public void close() {
        client.close();
        vertx.close();
    }
}
