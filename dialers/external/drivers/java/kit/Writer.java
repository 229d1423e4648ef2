package kabench;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.LinkedBlockingQueue;

/**
 * Writes frames, one a line, from a thread of its own: a client's event loop must not wait for
 * kabench to read.
 */
final class Writer {
    private final LinkedBlockingQueue<Map<String, ?>> frames = new LinkedBlockingQueue<>();
    private final OutputStream out;
    private final Thread thread = new Thread(this::write, "kabench-writer");

    Writer(OutputStream out) {
        this.out = out;
        thread.setDaemon(true);
        thread.start();
    }

    void send(Map<String, ?> frame) {
        frames.add(frame);
    }

    /** Sends a frame, and returns when it is written. Nothing is written after it. */
    void sendLast(Map<String, ?> frame) {
        frames.add(frame);
        frames.add(Map.of()); // the end
        try {
            thread.join();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private void write() {
        List<Map<String, ?>> batch = new ArrayList<>();
        StringBuilder text = new StringBuilder();
        try {
            for (boolean last = false; !last; batch.clear()) {
                batch.add(frames.take());
                frames.drainTo(batch);
                text.setLength(0);
                for (Map<String, ?> frame : batch) {
                    if (last = frame.isEmpty()) {
                        break;
                    }
                    Json.write(text, frame);
                    text.append('\n');
                }
                out.write(text.toString().getBytes(StandardCharsets.UTF_8));
                out.flush();
            }
        } catch (IOException e) {
            Runtime.getRuntime().halt(1); // kabench is gone
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
