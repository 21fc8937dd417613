/* Garbage, locks, parallel streams and exceptions on a pool of threads, for compiler and collector; printed in order. */
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

public class Threads {
    static final int THREADS = 4;
    static final int STEPS = 60;
    static final ConcurrentHashMap<String, Long> sums = new ConcurrentHashMap<>();
    static final CyclicBarrier barrier = new CyclicBarrier(THREADS);

    /** Deep enough that an exception passes frames that were compiled and frames that were not. */
    static long descend(long value, int depth) {
        if (depth == 0) {
            if (value % 3 == 0) throw new IllegalStateException(Long.toString(value));
            return value;
        }
        try {
            return descend(value * 31 + depth, depth - 1);
        } finally {
            sums.merge("finally " + depth, 1L, Long::sum);
        }
    }

    static long work(int step, int thread) throws Exception {
        TreeMap<String, List<Integer>> table = new TreeMap<>();
        long state = step * THREADS + thread + 1;
        for (int i = 0; i < 8000; i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            String key = Long.toString(state >>> 52, 36);
            table.computeIfAbsent(key, unused -> new ArrayList<>()).add(i);
        }
        barrier.await();
        long result = table.entrySet().stream().mapToLong(entry -> entry.getKey().hashCode() * 31L + entry.getValue().size()).sum();
        try {
            result ^= descend(result, 10);
        } catch (IllegalStateException thrown) {
            result -= thrown.getMessage().length();
        }
        synchronized (sums) {
            sums.merge("work", result, Long::sum);
        }
        if (thread == 0) TimeUnit.MILLISECONDS.sleep(1);
        return result;
    }

    public static void main(String[] arguments) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(THREADS);
        for (int step = 0; step < STEPS; step++) {
            final int current = step;
            List<Future<Long>> futures = new ArrayList<>();
            for (int thread = 0; thread < THREADS; thread++) {
                final int number = thread;
                futures.add(pool.submit(() -> work(current, number)));
            }
            StringBuilder line = new StringBuilder().append(step);
            for (Future<Long> future : futures) line.append(' ').append(future.get());
            long squares = IntStream.range(0, 50_000).parallel().mapToLong(i -> (long) i * i % 7919 * current).sum();
            System.out.println(line.append(' ').append(squares));
            if (step % 20 == 19) System.gc();
        }
        pool.shutdown();
        System.out.println(new TreeMap<>(sums));
    }
}
