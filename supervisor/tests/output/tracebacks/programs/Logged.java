/** Logs a failure as Logback does: its own line first, the exception below it. */
public class Logged {
    public static void main(String[] args) {
        System.out.println("12:00:01.123 [main] ERROR com.example.App -- cannot start");
        new IllegalStateException("no database", new java.io.IOException("refused")).printStackTrace(System.out);
        System.out.println("12:00:01.124 [main] INFO com.example.App -- going on");
    }
}
